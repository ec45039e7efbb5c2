"""What the service's middleware of methods tells the server that runs it."""

import asyncio
from typing import Any

from starlette.routing import Router

from server.web.methods import Methods


def test_the_server_under_the_service_knows_of_a_head_that_it_has_no_body() -> None:
    """It compares the bytes that it is given with those the headers promise, unless the method is HEAD."""
    methods: list[str] = []
    scope: dict[str, Any] = {"type": "http", "method": "HEAD", "path": "/", "headers": []}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"abc"})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            methods.append(scope["method"])
            assert message["body"] == b""

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    asyncio.run(Methods(app, Router())(scope, receive, send))
    assert methods == ["HEAD"] == [scope["method"]]
