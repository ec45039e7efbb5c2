"""Paths of submodules, and patterns of them: * stands for anything within a part, ** across parts."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from torch import nn

from attention.backbones import ForeignNetwork
from attention.errors import InvalidRequest, did_you_mean
from attention.reports.gates import ROOT

BODY = "body."
"""What stands before the paths of a network that was not written here, in its state dict."""


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
    match = _expression(pattern).match(path)
    return matches(pattern, path) or (match is not None and matches(pattern + ".**", path))


def several(at: str | Iterable[str]) -> tuple[str, ...]:
    """Patterns, given one by one or in one text with commas."""
    parts = at.split(",") if isinstance(at, str) else at
    return tuple(part.strip() for part in parts if part.strip())


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Every module of a model by path; those of a network that was not written here have the paths they have there."""
    modules = dict(model.named_modules())
    if not isinstance(model, ForeignNetwork):
        return modules
    shown_paths = {path: ROOT if path == BODY[:-1] else path.removeprefix(BODY) for path in modules}
    return {
        path if shown_paths[path] != path and shown_paths[path] in modules else shown_paths[path]: module
        for path, module in modules.items()
    }


def stored_paths(model: nn.Module) -> dict[str, str]:
    """Path of every module -> path under which its parameters lie in the model's state dict."""
    stored = {module: path for path, module in model.named_modules()}
    return {path: stored[module] for path, module in named_modules(model).items()}


def submodules(model: nn.Module, patterns: Sequence[str]) -> dict[str, nn.Module]:
    """Submodules by path that patterns name, in the order of the model.

    Raises:
        InvalidRequest: a pattern names none.
    """
    modules = named_modules(model)
    chosen: set[str] = set()
    for pattern in patterns:
        if isinstance(model, ForeignNetwork):
            pattern = pattern.removeprefix(BODY)
        named = {path for path in modules if path and matches(pattern, path)}
        if not named:
            raise InvalidRequest(f"There is no submodule {pattern!r}.{_nearest(pattern, modules)}")
        chosen |= named
    return {path: module for path, module in modules.items() if path in chosen}


def check(model: nn.Module, patterns: Iterable[str]) -> None:
    """Raise InvalidRequest unless each pattern names a submodule; numbers after # and @ are left aside.

    Raises:
        InvalidRequest: one names none.
    """
    for pattern in patterns:
        plain = re.sub(r"[#@]\d+", "", pattern)
        if plain != ROOT:
            submodules(model, [plain])


def _nearest(pattern: str, paths: Iterable[str]) -> str:
    """A pattern of the same form that names something, as a question."""
    pattern_parts = pattern.split(".")
    alike = set()
    for path in paths:
        parts = path.split(".")
        if path and len(parts) == len(pattern_parts):
            alike.add(".".join(own if "*" in own else part for own, part in zip(pattern_parts, parts, strict=True)))
    close = did_you_mean(pattern, alike)
    if close.startswith(" Did"):
        return close
    first = [path for path in paths if path and "." not in path]
    return f" At the top there are: {', '.join(first[:12])}." if first else " It has no submodules."
