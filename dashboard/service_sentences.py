"""What the service says in English, in the reader's language: verdicts, caveats, conditions, titles of modules.

Most of its answers carry a kind and numbers, which pages say themselves. For whole sentences there is a template,
whose values may be sentences again; a sentence without one is shown in English rather than not at all.
"""

import re
from functools import cache

from dashboard import language
from dashboard.language import say

VALUE = re.compile(r"%\((\w+)\)s")
"""A place for a value in a template, such as ``%(network)s``."""

HYPHEN = re.compile(r"(?<![^\s\[(（…：，])-(?=\d)")
"""A hyphen that stands for a minus: before a number, at the start of a word or behind a Chinese mark."""

STOP = re.compile(r"(?<=[\w)\]%\"'][.?]) (?=\S)")
"""The gap between two sentences of a text. A template whose values would hold several sentences is taken only where
these have no template of their own."""

OWN_NAMES = ("arm", "baseline", "network", "networks", "name")
"""Places of templates for a name that users gave, such as an arm called ``none``; it is not translated."""


def translated(text: str) -> str:
    """A sentence of the service in the reader's language, as it is where no translation is known, with minus signs."""
    return with_minus(_translated(text))


def with_minus(text: str) -> str:
    """A text whose negative numbers have minus signs instead of hyphens."""
    return HYPHEN.sub("−", text)


def _translated(text: str) -> str:
    if language.current() == "en" or not re.search("[A-Za-z]{2}", text):
        return text
    exact = say(text)
    if exact != text:
        return exact
    spanning = None
    for template, pattern in _patterns():
        if match := pattern.fullmatch(text):
            if not any(map(STOP.search, match.groups())):
                return _filled(template, match)
            spanning = spanning or (template, match)
    sentences = STOP.split(text)
    said = [_translated(sentence) for sentence in sentences] if len(sentences) > 1 else sentences
    if all(one != sentence for one, sentence in zip(said, sentences, strict=True)):
        return "".join(said)
    return _filled(*spanning) if spanning else text


def _filled(template: str, match: re.Match[str]) -> str:
    """The Chinese sentence with its values, of which a name of the reader's own stays as it is: ``none`` is no word."""
    return say(
        template,
        **{
            name: value if name in OWN_NAMES and " " not in value else _translated(value)
            for name, value in match.groupdict().items()
        },
    )


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each template with values, as a pattern that reads its sentences; those with most words of their own first.

    A template of few words, such as ``%(share)s of %(images)s for %(network)s``, fits many a sentence of others.
    """
    templates = [str(message.id) for message in language.read(language.SERVICE) if VALUE.search(str(message.id))]
    templates.sort(key=lambda template: -len(VALUE.sub("", template)))
    return tuple((template, _pattern(template)) for template in templates)


def _pattern(template: str) -> re.Pattern[str]:
    parts = VALUE.split(template)
    fixed = [re.escape(part.replace("%%", "%")) for part in parts[::2]]
    values = [f"(?P<{name}>.*?)" for name in parts[1::2]]
    text = "".join(part for pair in zip(fixed, [*values, ""], strict=True) for part in pair)
    return re.compile(text, re.DOTALL)
