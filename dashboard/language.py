"""Words in the reader's language: ``say("An English sentence")`` finds its Chinese in a gettext catalogue.

The catalogue is ``locale/zh_Hans/LC_MESSAGES/dashboard.po``, plain text that is compiled when it is first needed, so
no build step can be forgotten. A sentence that it lacks is shown in English. To add words, write
``say("... %(points)s ...", points=...)`` and let ``make words`` put the new sentences into the catalogue.
Sentences of the service and columns of tables stand in ``service.po`` beside it, each with its Chinese, by hand.
"""

import gettext
import io
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import streamlit as st
from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from streamlit.runtime.scriptrunner import get_script_run_ctx

Language = Literal["en", "zh"]

LANGUAGES: dict[Language, str] = {"en": "EN", "zh": "中文"}
"""Each language by what its switch says."""
KEY = "lang"
"""Of the language in the page's address and in the session."""
LOCALES: dict[Language, str] = {"en": "en", "zh": "zh-Hans"}
"""What a browser calls each language."""
CATALOGUE = Path(__file__).parent / "locale" / "zh_Hans" / "LC_MESSAGES" / "dashboard.po"
SERVICE = CATALOGUE.with_name("service.po")


def say(sentence: str, **values: object) -> str:
    """An English sentence in the reader's language, with values for its ``%(name)s`` places."""
    text = _catalogue().gettext(sentence) if current() == "zh" else sentence
    return text % values if values else text


def show_caption(sentence: str, **values: object) -> None:
    """Show a sentence in small letters, in the reader's language."""
    st.caption(say(sentence, **values))


def show_text(sentence: str, **values: object) -> None:
    """Show a text in Markdown, in the reader's language."""
    st.markdown(say(sentence, **values))


def listed(parts: Iterable[str]) -> str:
    """Names in a row, with the comma of the reader's language."""
    return say(", ").join(parts)


def marked(sentence: str) -> str:
    """The sentence unchanged: marks one for the catalogue that ``say`` gets later, such as one of a table."""
    return sentence


def current() -> Language:
    """The reader's language: as chosen, else as the address says, else as the browser prefers; English in a test."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return "en"
    for choice in (st.session_state.get(KEY), st.query_params.get(KEY)):
        if choice in get_args(Language):
            return choice  # type: ignore[return-value]
    return preferred()


def preferred() -> Language:
    """The language that the visitor's browser prefers."""
    return "zh" if (st.context.locale or "").lower().startswith("zh") else "en"


def read(path: Path) -> Catalog:
    """A catalogue of Chinese sentences."""
    with path.open("rb") as file:
        return read_po(file, locale="zh_Hans")


@cache
def _catalogue() -> gettext.GNUTranslations:
    pages, service = _compiled(CATALOGUE), _compiled(SERVICE)
    pages.add_fallback(service)
    return pages


def _compiled(path: Path) -> gettext.GNUTranslations:
    compiled = io.BytesIO()
    write_mo(compiled, read(path))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
