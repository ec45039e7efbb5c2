"""ProgressLine: says on standard error how far long work is, once it takes longer than two seconds."""

import sys
from threading import Lock, Timer
from typing import Self, TextIO

AFTER_S = 2.0
PARTS = 20
"""Into a file, work of known length writes a line for each of so many parts."""


class ProgressLine:
    """A line that says how far something is; call it with steps done, steps in all and a note.

    Args:
        file: where it is written; None is standard error.
        after_s: seconds before it shows.
    """

    def __init__(self, file: TextIO | None = None, after_s: float = AFTER_S) -> None:
        self._file = file or sys.stderr
        self._text, self._written = "working ...", ""
        self._part, self._written_part = "", ""
        self._shown = False
        self._lock = Lock()
        self._timer = Timer(after_s, self._show)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            if self._written:
                self._file.write("\n")
            self._shown, self._written = False, ""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Say how far the work is; a total of 0 is not known."""
        steps = f"{done:,}/{total:,} ({done / total:.0%})" if total else f"{done:,}"
        with self._lock:
            self._text = f"{steps} {note}".rstrip()
            self._part = str(done * PARTS // total) if total else self._text
            if self._shown:
                self._write()

    def _show(self) -> None:
        with self._lock:
            self._shown = True
            self._write()

    def _write(self) -> None:
        """Write over the line before; where no terminal is, a line below it when the work is a part further on."""
        if self._file.isatty():
            self._file.write("\r" + self._text.ljust(len(self._written)))
        elif self._written and self._part == self._written_part:
            return
        else:
            self._file.write(("\n" if self._written else "") + self._text)
        self._file.flush()
        self._written, self._written_part = self._text, self._part
