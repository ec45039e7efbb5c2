"""HEAD wherever GET works, OPTIONS and Allow with every method of a path, and compressed answers to GET."""

from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.problems import allowed_methods

PACK_ABOVE_BYTES = 1024
PACK_LEVEL = 1
"""zlib's quickest: a catalogue shrinks to a fifth at it, and to a sixth at its slowest."""

NOT_PACKED = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "image/*", "application/octet-stream")
"""Photos and weights do not get smaller."""


class HeadIsSent(Exception):
    """Ends a route that was asked by HEAD, once its headers are out."""


class Methods:
    """ASGI middleware, the innermost: answers HEAD as GET without its body, and OPTIONS with what a path takes.

    Answers to GET are compressed for clients that take gzip. Those to POST are not: a report's gates are base64, which
    shrinks by a quarter, for a time in which a small network runs twice.

    Args:
        router: knows the paths and their methods.
    """

    def __init__(self, app: ASGIApp, router: Router) -> None:
        self._app = app
        self._router = router
        self._packing = GZipMiddleware(app, PACK_ABOVE_BYTES, PACK_LEVEL, exclude_content_types=NOT_PACKED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")
        if scope["type"] != "http" or method not in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
        elif method == "GET":
            await self._packing(_with_one_line(scope), receive, send)
        elif method == "HEAD":
            await self._head(scope, receive, send)
        elif methods := allowed_methods(self._router, scope):
            headers = [(b"allow", ", ".join(methods).encode())]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
            elif message["type"] == "http.response.body":
                scope["method"] = "HEAD"  # or the server misses the bytes that the headers promise
                await send({"type": "http.response.body", "body": b""})
                raise HeadIsSent

        scope["method"] = "GET"  # in place, so that the route which is found is seen by whatever notes the request
        try:
            await self._packing(_with_one_line(scope), receive, without_body)
        except HeadIsSent:
            pass
        finally:
            scope["method"] = "HEAD"


def _with_one_line(scope: Scope) -> Scope:
    """Join the lines of Accept-Encoding, which RFC 9110 lets a client send several of; only the first was read."""
    lines = [value for name, value in scope["headers"] if name == b"accept-encoding"]
    if len(lines) > 1:
        others = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        scope["headers"] = [*others, (b"accept-encoding", b", ".join(lines))]
    return scope
