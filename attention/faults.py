"""Faults that pydantic finds in a question, as sentences: the same over REST, in commands and in Python."""

from collections.abc import Mapping, Sequence
from typing import Any

from attention.errors import did_you_mean


def fault_place(place: Sequence[Any]) -> str:
    """Where in a request a fault is that pydantic found, such as ``variants[0].seed``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def fault_sentence(where: str, fault: Mapping[str, Any]) -> str:
    """A fault that pydantic found, as a sentence.

    Args:
        where: place of the field, such as ``variants[0].seed``; empty for the whole.
        fault: as pydantic gives it; ``known`` are the fields there are.
    """
    about = fault.get("ctx", {})
    match fault["type"]:
        case "json_invalid":
            return f"The body is not valid JSON: {about.get('error', 'it cannot be read')}."
        case "missing":
            return f"The field {where!r} is missing."
        case "extra_forbidden":
            hint = did_you_mean(where, fault.get("known", ())) if not set(where) & set(".[") else ""
            kind = "parameter" if fault["loc"][:1] == ("query",) else "field"
            return f"There is no {kind} {where!r} here.{hint}"
        case "too_long":
            count = about.get("actual_length") or "more"
            return f"The field {where!r} has {count} entries; at most {about['max_length']} are taken."
        case "too_short":
            return f"The field {where!r} has {about['actual_length']} entries; it needs {about['min_length']} or more."
    message = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
    if not where:
        return f"The request is not right: {message[:1].lower()}{message[1:]}."
    return f"The field {where!r} is not right: {message[:1].lower()}{message[1:]}."
