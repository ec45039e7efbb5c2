"""Choices that live in the page's address by their option, whatever its label is called in the reader's language.

The address wins where it says something that this session did not write there itself: a link, a bookmark, the Back
button. Otherwise the session wins, so that a choice travels to other pages that use the same key.
"""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from attention.names import Size, read_size, short_size
from dashboard.language import say

T = TypeVar("T")

WRITTEN = "linked.written"
"""In the session: what this session wrote into the address, by key."""


def words(key: str) -> list[str]:
    """All that the address says of a key."""
    return st.query_params.get_all(key)


def given(key: str) -> list[str] | None:
    """What the address says of a key and this session did not write there; None if it says nothing new."""
    values = words(key)
    return values if values and values != st.session_state.get(WRITTEN, {}).get(key) else None


def write(key: str, values: Sequence[str]) -> None:
    """Let the address say the values of a key; none removes it."""
    listed = [str(value) for value in values]
    if words(key) != listed:
        if listed:
            st.query_params[key] = listed
        else:
            st.query_params.pop(key, None)
    st.session_state.setdefault(WRITTEN, {})[key] = listed


def opened(title: str, key: str, icon: str, expanded: bool = False) -> DeltaGenerator | None:
    """Draw a part of the page that is folded up; None while it is, so that nobody waits for it. The address says which.

    Args:
        icon: a name of the Material symbols.
        expanded: how it begins where the address says nothing of it.
    """
    box = st.expander(title, expanded, key=key, icon=f":material/{icon}:", bind="query-params")
    return box if box.open else None


def start(key: str, default: T, read: Callable[[list[str]], T | None], state: str | None = None) -> None:
    """Put the value of a key into the session: what a new address says, else what was chosen before, else the default.

    Args:
        read: the value that the address's words stand for; None if they stand for none.
        state: the session's key where it is not the address's.
    """
    values, state = given(key), state or key
    if values is not None:
        value = read(values)
        if value is not None:
            st.session_state[state] = value
        st.session_state.setdefault(WRITTEN, {})[key] = values
    if state not in st.session_state:
        st.session_state[state] = default


def choice(
    widget: Callable[..., Any],
    label: str,
    options: Mapping[Any, str] | Sequence[str],
    key: str,
    default: str,
    *,
    state: str | None = None,
    **more: Any,
) -> str:
    """One of some options.

    Args:
        widget: ``st.segmented_control``, ``st.pills``, ``st.selectbox`` or the same of a column.
        options: the options, or each with its label in the reader's language.
        state: the session's key where the options depend on another choice, so that each set has a memory of its own.
    """
    state = state or key
    start(key, default, lambda texts: texts[0] if _there(texts, options) else None, state)
    if st.session_state[state] not in options:
        st.session_state[state] = default
    kind = {} if _is(widget, "selectbox") else {"required": True}
    chosen = widget(label, list(options), key=state, persist_state="session", **kind, **_labels(options), **more)
    write(key, [] if chosen == default else [chosen])
    return str(chosen)


def choices(
    widget: Callable[..., Any],
    label: str,
    options: Mapping[Any, str] | Sequence[str],
    key: str,
    default: Sequence[str],
    *,
    state: str | None = None,
    **more: Any,
) -> tuple[str, ...]:
    """Several of some options, in the order in which they were chosen."""
    state = state or key
    start(key, list(default), lambda texts: _there(texts, options) or None, state)
    st.session_state[state] = [value for value in st.session_state[state] if value in options]
    kind: dict[str, Any] = {"selection_mode": "multi"}
    if _is(widget, "multiselect"):
        kind = {"select_all": False, "placeholder": say("Choose")}
    picked = widget(label, list(options), key=state, persist_state="session", **{**kind, **_labels(options), **more})
    chosen = list(picked)
    write(key, [] if chosen == list(default) else chosen)
    return tuple(chosen)


def number(
    widget: Callable[..., Any],
    label: str,
    low: float,
    high: float,
    key: str,
    default: float | None,
    **more: Any,
) -> Any:
    """A number within limits, or None where ``default`` is None and the field is empty."""

    def read(texts: list[str]) -> float | None:
        try:
            value = type(low)(texts[0])
        except ValueError:
            return None
        return min(max(value, low), high)

    start(key, default, read)
    if st.session_state[key] is not None:
        st.session_state[key] = min(max(st.session_state[key], low), high)
    empty = {"value": None} if default is None else {}
    chosen = widget(label, low, high, key=key, persist_state="session", **empty, **more)
    write(key, [] if chosen is None or chosen == default else [f"{chosen:.10g}"])
    return chosen


def size(
    widget: Callable[..., Any], label: str, key: str, default: Size | None, *, state: str | None = None, **more: Any
) -> Size | None:
    """The size of an input, a side or height and width; None where ``default`` is None and the field is empty."""

    def read(texts: list[str]) -> str | None:
        try:
            return str(short_size(read_size(texts[0])))
        except ValueError:
            return None

    state, first = state or key, "" if default is None else str(short_size(default))
    start(key, first, read, state)
    about = say("A side, or height and width such as 224x320.")
    typed = widget(label, key=state, persist_state="session", help=about, **more).strip() or first
    shown = read([typed]) if typed else ""
    if shown is None:
        st.error(say("An input's size is 1 to 2048 pixels, or height and width, such as 224x320."))
        st.stop()
    write(key, [] if shown == first else [shown])
    chosen = read_size(shown) if shown else None
    return chosen if chosen is None or isinstance(chosen, tuple) else int(chosen)


def switch(widget: Callable[..., Any], label: str, key: str, default: bool = False, **more: Any) -> bool:
    """A switch; the address says 1 or 0."""
    start(key, default, lambda texts: texts[0] == "1" if texts[0] in ("0", "1") else None)
    chosen = bool(widget(label, key=key, persist_state="session", **more))
    write(key, [] if chosen == default else [str(int(chosen))])
    return chosen


def _there(texts: Sequence[str], options: Mapping[Any, str] | Sequence[str]) -> list[str]:
    """The words that are options; of each other one it is said once that it is not here."""
    for word in texts:
        if word not in options:
            near = get_close_matches(word, list(options), 1)
            label = _label(options, near[0]) if near else ""
            st.warning(missing(word, label), icon=":material/link_off:")
    return [word for word in texts if word in options]


def missing(word: str, near: str = "") -> str:
    """The sentence about a word of the address that stands for nothing here."""
    if near:
        return say("`%(word)s` is not here. Did you mean %(near)s?", word=word[:80], near=near)
    return say("`%(word)s` is not here.", word=word[:80])


def _label(options: Mapping[Any, str] | Sequence[str], option: str) -> str:
    return options[option] if isinstance(options, Mapping) else option


def _labels(options: Mapping[Any, str] | Sequence[str]) -> dict[str, Any]:
    """How a widget shows options that have labels."""
    return {"format_func": lambda option: options.get(option, option)} if isinstance(options, Mapping) else {}


def _is(widget: Callable[..., Any], name: str) -> bool:
    return getattr(widget, "__name__", "") == name
