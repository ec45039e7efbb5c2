"""The log: lines to read, or one JSON object a line; each with the id of the request it is about."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from server.settings import Settings

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being worked on; empty outside of one."""

OURS = ("server", "attention", "uvicorn", "py.warnings")
"""Loggers that speak at the chosen level; others only when something is wrong."""

FIELDS = "fields"
"""Where a record carries what belongs to it by name: ``log.info(..., extra={FIELDS: {...}})``."""


class Human(logging.Formatter):
    """``2026-11-03 12:00:00 INFO server.app: text [request]``; a line stays one line, whatever a client put in it."""

    def __init__(self, about: Mapping[str, str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S")
        self._about = "".join(f" [{name} {value}]" for name, value in about.items())

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line without a traceback."""
        line = super().formatMessage(record)
        if not line.isprintable():
            line = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line)
        number = request_id.get()
        return f"{line}{self._about}{f' [{number}]' if number else ''}"


class JSON(logging.Formatter):
    """One object a line: time (UTC, RFC 3339), level, logger, message, request_id, and what else is known by name."""

    def __init__(self, about: Mapping[str, str]) -> None:
        super().__init__()
        self._about = about

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._about,
        }
        if number := request_id.get():
            entry["request_id"] = number
        entry.update(getattr(record, FIELDS, {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(settings: Settings, **about: str) -> None:
    """Let the whole process log to standard error as the settings say.

    Args:
        about: what every line says besides, such as the job that the process is for.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSON(about) if settings.log_format == "json" else Human(about))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root.setLevel(max(level, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
