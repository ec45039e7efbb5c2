"""RequestLog: gives each request an id, a line in the log, and its part in the metrics."""

import logging
import math
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.middleware import ACCOUNT
from server.logs import FIELDS, request_id
from server.operations.metrics import Metrics
from server.problems import GONE
from server.settings import Settings

log = logging.getLogger("server.requests")

MAX_ID = 64
_NOT_AN_ID = re.compile(r"[^A-Za-z0-9._:-]+")

QUIET = ("/v1/health", "/v1/ready", "/metrics")
"""What is asked every few seconds, and is worth a line only when it goes wrong."""

REFUSED = (429, 503)
"""What a service that is asked too much answers a thousand times a second."""

SPARING_S = 1.0
"""Of refusals on one route, so many seconds have one line in the log, which says how many more there were."""

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


class RequestLog:
    """ASGI middleware, the outermost: gives each request its id, and notes how it went.

    An ``X-Request-ID`` that comes along is kept, without signs that have no place in one and 64 signs at most, so that
    the logs of whatever is in front and of this service can be read together.
    """

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._from = {"all": 0, "failed": 400, "none": 1000}[settings.log_requests]
        self._refused: dict[tuple[str, int], tuple[float, int]] = {}
        """When refusals of a route were last logged, and how many were not since."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        number = _number(scope)
        status = GONE
        id_header = (b"x-request-id", number.encode())

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header]
            await send(message)

        token = request_id.set(number)
        self._metrics.in_flight += 1
        try:
            await self.app(scope, receive, noted)
        finally:
            self._metrics.in_flight -= 1
            self._note(scope, status, time.perf_counter() - started)
            request_id.reset(token)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "other")  # the pattern, not the path: there are only so many
        self._metrics.answered(method, route, status, seconds)
        if status < self._from or (status < 400 and scope["path"] in QUIET):
            return
        unsaid = self._unsaid(route, status) if status in REFUSED else 0
        if unsaid is None:
            return
        account = scope.get(ACCOUNT)
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "key": account.name if account else "",
            "client": scope["client"][0] if scope.get("client") else "",
        }
        log.log(
            logging.INFO if status < 500 else logging.WARNING,
            "%s %s %d in %.1f ms%s%s",
            scope["method"],
            scope["path"],
            status,
            seconds * 1000,
            f" for {fields['key']}" if fields["key"] else "",
            f", and {unsaid} more refused since the last such line" if unsaid else "",
            extra={FIELDS: fields},
        )

    def _unsaid(self, route: str, status: int) -> int | None:
        """How many refusals had no line since the last one that had; None if this one has none either."""
        now = time.monotonic()
        last, unsaid = self._refused.get((route, status), (-math.inf, 0))
        if now - last < SPARING_S:
            self._refused[route, status] = last, unsaid + 1
            return None
        self._refused[route, status] = now, 0
        return unsaid


def _number(scope: Scope) -> str:
    """The id that came along, cleaned, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            if cleaned := _NOT_AN_ID.sub("", value[: 4 * MAX_ID].decode("latin-1"))[:MAX_ID]:
                return cleaned
            break
    return secrets.token_hex(8)
