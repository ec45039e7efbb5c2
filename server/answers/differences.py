"""Where two reports differ, and how much."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from attention.schemas import ROUNDING, Difference

SHOWN = 100
"""Differences that are told one by one."""

LETTERS = 80
"""A longer text is cut short; gates as base64 are megabytes."""

FieldPath = tuple[str | int, ...]


@dataclass(frozen=True)
class ReportChanges:
    """Differences between two reports: how many values, the most telling of them, and whether it may be rounding."""

    count: int
    shown: tuple[Difference, ...]
    rounding: bool


def differences(before: Any, after: Any) -> ReportChanges:
    """Compare two reports, as JSON gives them, value by value."""
    count, rounding = 0, True
    first: list[tuple[float, int, FieldPath, Any, Any]] = []  # a heap of the SHOWN largest; an earlier one wins a tie
    for place, old, new in _unequal(before, after, ()):
        count += 1
        rounding = rounding and _is_rounding(old, new)
        entry = (_size(old, new), -count, place, old, new)
        if len(first) < SHOWN:
            heapq.heappush(first, entry)
        elif entry[:2] > first[0][:2]:
            heapq.heapreplace(first, entry)
    shown = tuple(
        Difference(path=_path(place), before=_short(old), after=_short(new))
        for _, _, place, old, new in sorted(first, key=lambda difference: difference[:2], reverse=True)
    )
    return ReportChanges(count, shown, rounding)


def _unequal(before: Any, after: Any, place: FieldPath) -> Iterator[tuple[FieldPath, Any, Any]]:
    """Every place where two values are not the same, with both; whole parts where only one of them has it."""
    if before == after and isinstance(before, bool) == isinstance(after, bool):
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from _unequal(before.get(key), after.get(key), (*place, key))
    elif isinstance(before, list) and isinstance(after, list):
        for index in range(max(len(before), len(after))):
            old = before[index] if index < len(before) else None
            yield from _unequal(old, after[index] if index < len(after) else None, (*place, index))
    else:
        yield place, before, after


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _size(before: Any, after: Any) -> float:
    """How much two values differ for their size, 0..2; what is no number comes before all numbers."""
    if not (_number(before) and _number(after)):
        return float("inf")
    return abs(after - before) / max(abs(before), abs(after))


def _is_rounding(before: Any, after: Any) -> bool:
    if not (isinstance(before, float) and isinstance(after, float)):
        return False  # a count that differs by one is another count
    return abs(after - before) <= ROUNDING * max(1.0, abs(before), abs(after))


def _path(place: FieldPath) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _short(value: Any) -> Any:
    if isinstance(value, dict | list):
        return f"{len(value)} {'fields' if isinstance(value, dict) else 'entries'}"
    return value if not isinstance(value, str) or len(value) <= LETTERS else f"{value[:LETTERS]}…"
