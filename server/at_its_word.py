"""JSON is taken at its word: true is not 1, and "3" is not 3.

Pydantic converts such values, which forms need, because all their fields are text. Its strict mode would refuse more
than that: lists for tuples, once a validator of our own has looked at them. So a question is read as always, and then
compared with what was sent.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

Place = tuple[str | int, ...]


def converted(sent: Any, read: Any, place: Place = ()) -> Iterator[dict[str, Any]]:
    """Where a number or truth value was read out of something else, as pydantic tells of faults.

    Args:
        sent: JSON.
        read: what became of it; where that is of another build, it is not looked into.
        place: where in the question it is.
    """
    if isinstance(sent, dict) and isinstance(read, BaseModel | Mapping):
        for name, value in sent.items():
            there = read.get(name) if isinstance(read, Mapping) else getattr(read, name, None)
            yield from converted(value, there, (*place, name))
    elif isinstance(sent, list) and isinstance(read, list | tuple) and len(sent) == len(read):
        for number, (value, there) in enumerate(zip(sent, read, strict=True)):
            yield from converted(value, there, (*place, number))
    elif isinstance(read, bool | int | float) and isinstance(sent, bool | int | float | str):
        wanted = "true or false" if isinstance(read, bool) else "a number"
        if isinstance(sent, str) or isinstance(sent, bool) != isinstance(read, bool):
            yield {"type": "converted", "loc": place, "msg": f"it should be {wanted}, not {json.dumps(sent)[:40]}"}
