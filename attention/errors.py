"""Everything that can go wrong for a reason the caller can mend, one class each.

    AttentionError                 a sentence for the person who can fix it
    ├── InvalidRequest             the request does not make sense as asked
    │   ├── UnknownName            no such module, backbone, analysis, ... (with "did you mean")
    │   ├── BadOption              an option that is not there, or a value it cannot take
    │   ├── BadVariantName         a short name that does not parse
    │   ├── Conflict               a name that is taken already, or a thing that an unfinished job needs
    │   └── BadPlacement           a position or stage this backbone does not have
    ├── BadImage                   bytes that are not an image we can read
    ├── TooLarge                   more bytes, pixels or entries than the limit
    │   └── QuotaExceeded          more bytes than one API key may keep
    ├── NotOwned                   what another API key owns and only shares
    ├── NotFound                   an image, checkpoint, data set or report that is not stored here
    ├── BadCheckpoint              weights that do not belong to the variant
    ├── BadData                    a data set that cannot be trained on
    ├── Diverged                   training produced a loss that is not a number
    ├── Cancelled                  the caller asked for the work to stop
    ├── StorageFailed              a disk or database is full, read-only or away, and whoever runs the service mends it
    └── Overloaded                 no room now; try again in ``retry_after_s``

Anything else that is raised is a bug, and is shown as one.
"""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any


class AttentionError(Exception):
    """A mistake the caller can mend; ``str(error)`` is the sentence to show."""

    def faults(self) -> list[dict[str, Any]]:
        """Each single fault, where there are many: ``field`` says where it is, ``message`` what it is."""
        return []

    def __reduce__(self) -> tuple[Any, ...]:
        """An error travels to another process as what it became, not as what it was made of."""
        return _again, (type(self), self.args), self.__dict__


def _again(kind: type[AttentionError], args: tuple[Any, ...]) -> AttentionError:
    return kind.__new__(kind, *args)


def first_line(error: BaseException) -> str:
    """The first line of what an error says, without its full stop, for use inside a sentence; its class if nothing."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300].rstrip(" .:")


class InvalidRequest(AttentionError):
    """The request does not make sense as asked."""


def listing(names: Sequence[str], most: int = 3) -> str:
    """The first of some names and how many there are besides, for use inside a sentence: ``a, b, c and 4 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """``" Did you mean 'cbam'?"``, or what there is to choose from when nothing is close."""
    choices = sorted(names)
    close = difflib.get_close_matches(name.lower(), choices, n=1, cutoff=0.5)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" There is: {', '.join(choices)}." if choices else ""


class UnknownName(InvalidRequest):
    """No entry of that name on a shelf."""

    def __init__(self, kind: str, name: str, names: Iterable[str], hint: str = "") -> None:
        super().__init__(f"There is no {kind} named {name!r}." + (hint or did_you_mean(name, names)))


class BadOption(InvalidRequest):
    """An option that is not there, or a value it cannot take."""


class BadVariantName(InvalidRequest):
    """A short name that does not parse."""


class BadPlacement(InvalidRequest):
    """A position or stage that this backbone does not have."""


class BadImage(AttentionError):
    """Bytes that are not an image we can read."""


class TooLarge(AttentionError):
    """More bytes, pixels or entries than the limit."""


class QuotaExceeded(TooLarge):
    """More bytes than one API key may keep; deleting something makes room."""


class NotOwned(AttentionError):
    """A thing that another API key owns: it is shared, and only its owner may change or delete it."""


class NotFound(AttentionError):
    """An image, checkpoint, data set or report that is not stored here."""


class Conflict(InvalidRequest):
    """Error: a name is taken already, or an unfinished job needs what shall be deleted or renamed."""


class BadCheckpoint(AttentionError):
    """Weights that do not belong to the variant."""


class BadData(AttentionError):
    """A data set that cannot be trained on."""


class BadTable(AttentionError):
    """A table of results that cannot be judged as it is; the sentence names the file and the line."""


class Diverged(AttentionError):
    """Training produced a loss that is not a number."""


class Cancelled(AttentionError):
    """The caller asked for the work to stop."""


class StorageFailed(AttentionError):
    """A disk or a database is full, read-only or away; the sentence is for whoever runs the service."""


class Overloaded(AttentionError):
    """No room for this request now."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
