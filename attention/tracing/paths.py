"""Paths of submodules, and patterns of them: * stands for anything within a part, ** across parts."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from torch import nn

from attention.errors import InvalidRequest, did_you_mean

ROOT = "(model)"
"""How the model itself is written where a path is wanted."""


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str]:
    pieces = (".*" if piece == "**" else "[^.]*" if piece == "*" else re.escape(piece) for piece in _pieces(pattern))
    return re.compile("".join(pieces))


def _pieces(pattern: str) -> list[str]:
    return re.split(r"(\*\*?)", pattern)


def matches(pattern: str, path: str) -> bool:
    """Whether a path is what a pattern says."""
    return _expression(pattern).fullmatch(path) is not None


def covers(pattern: str, path: str) -> bool:
    """Whether a path is what a pattern says, or lies below it: layer4 covers layer4.0.se."""
    found = _expression(pattern).match(path)
    return matches(pattern, path) or (found is not None and matches(pattern + ".**", path))


def several(at: str | Iterable[str]) -> tuple[str, ...]:
    """Patterns, given one by one or in one text with commas."""
    parts = at.split(",") if isinstance(at, str) else at
    return tuple(part.strip() for part in parts if part.strip())


def submodules(model: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """Submodules by path that patterns name, in the order of the model.

    Raises:
        InvalidRequest: a pattern names none.
    """
    every = dict(model.named_modules())
    chosen: set[str] = set()
    for pattern in patterns:
        named = {path for path in every if path and matches(pattern, path)}
        if not named:
            raise InvalidRequest(f"There is no submodule {pattern!r}.{_nearest(pattern, every)}")
        chosen |= named
    return {path: module for path, module in every.items() if path in chosen}


def check(model: nn.Module, patterns: Iterable[str]) -> None:
    """Return if each pattern names a submodule; numbers after # and @ are left aside.

    Raises:
        InvalidRequest: one names none.
    """
    for pattern in patterns:
        plain = re.sub(r"[#@]\d+", "", pattern)
        if plain != ROOT:
            submodules(model, [plain])


def _nearest(pattern: str, paths: Iterable[str]) -> str:
    """A pattern of the same form that names something, as a question."""
    wanted = pattern.split(".")
    alike = set()
    for path in paths:
        parts = path.split(".")
        if path and len(parts) == len(wanted):
            alike.add(".".join(own if "*" in own else part for own, part in zip(wanted, parts, strict=True)))
    close = did_you_mean(pattern, alike)
    if close.startswith(" Did"):
        return close
    first = [path for path in paths if path and "." not in path]
    return f" At the top there are: {', '.join(first[:12])}." if first else " It has no submodules."
