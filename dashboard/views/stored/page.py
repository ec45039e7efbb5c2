""":material/inventory_2: Stored: all that is kept here with its size and age, to be renamed and deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from attention.client import ServiceError
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import marked, say, show_caption, show_text
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import jobs, linked

KIND = "kind"

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of what is stored.

    Args:
        title: what the page calls it.
        key: the field by which the service knows an entry.
        about: what an entry is, in a line.
        named: whether an entry can be given another name.
    """

    title: str
    key: str
    about: Callable[[Entry], str]
    named: bool = True


def _photo(entry: Entry) -> str:
    return f"{entry['name']}, {entry['width']} × {entry['height']}"


def _data_set(entry: Entry) -> str:
    images = entry.get("images")
    return entry["kind"] + ("" if images is None else ", " + say("%(images)s images", images=f"{images:,}"))


def _job(entry: Entry) -> str:
    return f"{jobs.kind(entry['analysis'])} · {say(jobs.BADGES[entry['state']]).partition(': ')[2].rstrip(']')}"


def _report(entry: Entry) -> str:
    """What was asked, part by part in the reader's language."""
    return " · ".join(map(translated, str(entry.get("title") or entry["analysis"]).split(" · ")))


KINDS: Mapping[str, Kind] = {
    "images": Kind(marked("Photos"), "id", _photo),
    "datasets": Kind(marked("Data sets"), "name", _data_set),
    "checkpoints": Kind(marked("Checkpoints"), "name", lambda entry: str(entry.get("variant") or "")),
    "jobs": Kind(marked("Jobs"), "id", _job, named=False),
    "reports": Kind(marked("Reports"), "id", _report, named=False),
}
"""Address of a kind's list -> how it is shown; a kind that the service does not list has nothing to show."""


def main() -> None:
    st.title(say("Stored"), anchor=False)
    show_caption("What is kept here until it is deleted. What comes with the service is not listed.")
    titles = {name: say(kind.title) for name, kind in KINDS.items()}
    name = linked.choice(st.segmented_control, say("Kind"), titles, KIND, next(iter(KINDS)), wrap=False)
    kind = KINDS[name]
    stored = connect.client().entries(name)
    entries = {str(entry[kind.key]): entry for entry in stored if not (entry.get("sample") or entry.get("shipped"))}
    if not entries:
        st.info(say("Nothing of this kind is stored."), icon=":material/inventory_2:")
        return
    sizes = [entry["bytes"] for entry in entries.values() if entry.get("bytes") is not None]
    st.markdown(
        say("**%(count)s**, %(bytes)s together.", count=len(entries), bytes=words.human(sum(sizes), "B"))
        if sizes
        else f"**{len(entries)}**"
    )
    drawing.table(table(kind, entries.values()), f"stored-{name}", index=False)
    _change(name, kind, entries)


def table(kind: Kind, entries: Sequence[Entry] | Any) -> pd.DataFrame:
    """Each entry with its size and age, in the service's order."""
    return pd.DataFrame(
        [
            {
                "what": kind.about(entry),
                "name": _short(str(entry[kind.key])),
                "size": words.human(entry["bytes"], "B") if entry.get("bytes") is not None else "",
                "age": jobs.age(entry.get("created")),
                **({"shared": _shared(entry)} if connect.has_key() else {}),
            }
            for entry in entries
        ]
    )


def _shared(entry: Entry) -> str:
    """Whether every key may use an entry, in a word or two."""
    if not entry.get("own", True):
        return say("by another key")
    return say("with every key") if entry.get("shared") else ""


def _change(name: str, kind: Kind, entries: Mapping[str, Entry]) -> None:
    """Rename one or delete several, as far as the service lets."""
    entries = {id: entry for id, entry in entries.items() if entry.get("own", True)}
    if not entries:
        return
    methods = connect.client().methods(name, next(iter(entries)))
    if not methods & {"DELETE", "PATCH"}:
        return
    chosen = st.multiselect(
        say("Choose some to delete, or one to rename"),
        list(entries),
        format_func=lambda id: f"{kind.about(entries[id])} · {_short(id)}" if id in entries else id,
        key=f"stored.{name}",
        placeholder=say("Choose"),
        select_all=True,
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if "DELETE" in methods:
            with st.popover(say("Delete"), icon=":material/delete:", disabled=not chosen):
                show_text("Delete %(count)s? This cannot be undone.", count=len(chosen))
                delete = partial(connect.client().delete, name)
                st.button(
                    say("Delete for good"), type="primary", key="delete", on_click=_each, args=(name, chosen, delete)
                )
        if connect.has_key() and "PATCH" in methods:
            for shared, label in ((True, say("Share")), (False, say("Share no longer"))):
                st.button(
                    label,
                    key=f"share-{shared}",
                    help=say("Every key may use what is shared; only yours may change or delete it."),
                    disabled=not chosen,
                    on_click=_each,
                    args=(name, chosen, partial(connect.client().share, name, shared=shared)),
                )
        if "PATCH" in methods and kind.named:
            new = st.text_input(say("New name"), key=f"stored.{name}.new", disabled=len(chosen) != 1)
            st.button(
                say("Rename"),
                icon=":material/edit:",
                key="rename",
                disabled=len(chosen) != 1 or not new.strip(),
                on_click=_each,
                args=(name, chosen, partial(connect.client().rename, name, new_name=new.strip())),
            )
    for problem in st.session_state.pop(f"stored.{name}.problems", ()):
        st.error(problem, icon=":material/error:")


def _each(name: str, ids: Sequence[str], change: Callable[[str], object]) -> None:
    """Change each of these; what the service refuses is said on the page, and the others are changed."""
    problems = []
    for id in ids:
        try:
            change(id)
        except ServiceError as error:
            problems.append(explained(error))
    st.session_state[f"stored.{name}"] = []
    st.session_state[f"stored.{name}.problems"] = problems


def _short(id: str) -> str:
    """A name as it is, a hash by its beginning."""
    return id if len(id) <= 32 else f"{id[:12]}…"


main()
