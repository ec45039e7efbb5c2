"""What browsers are told, and held to: headers that keep pages apart, and no questions from pages of other sites.

A service on 127.0.0.1 is open to every web page that its user visits, because the browser sits on the same machine. A
page cannot read the answers, for no other origin is allowed to, but could still send: so a request that changes or
starts something and comes from another origin is refused. And a page whose own name is made to point at 127.0.0.1 (DNS
rebinding) is of the same origin, in the browser's eyes: so a service without keys answers on a loopback address to
local names only.
"""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access import Accounts
from server.keys import UnreadableKeys
from server.problems import respond
from server.settings import Settings

PORTS = {"http": 80, "https": 443}

SAFE = ("GET", "HEAD", "OPTIONS")

PAGES = ("/docs", "/redoc")
"""The pages of documentation, which bring scripts along."""

_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""Their scripts start inline; what they show is this API's description, and nothing that a user sent."""

_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Everything else is data: an uploaded file that poses as a page runs nothing."""

COMMON = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Browsers:
    """ASGI middleware: security headers on every answer, and no changes by pages of other sites."""

    def __init__(self, app: ASGIApp, settings: Settings, accounts: Accounts) -> None:
        self.app = app
        self._origins = frozenset(origin.lower() for origin in settings.cors_origins)
        self._hosts = frozenset(name.lower() for name in settings.allowed_hosts)
        self._loopback = settings.loopback
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        page = scope["path"].startswith(PAGES)
        policy = (b"content-security-policy", (_PAGE_POLICY if page else _POLICY).encode())

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                had = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"x-content-type-options"]
                message["headers"] = [*had, *COMMON, policy]
            await send(message)

        answer = self._refusal(scope) or self.app
        await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        host, origin = "", None
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1")
            elif name == b"origin":
                origin = value.decode("latin-1")
        if self._loopback and not self._local(host):
            return respond(
                scope["path"],
                421,
                "misdirected-request",
                f"This service is called by the name {host[:200]!r}, which is not one of this machine. "
                "ATTENTION_ALLOWED_HOSTS can name it; with an API key any name will do.",
            )
        if origin is None or scope["method"] in SAFE or self._same(origin, host, scope["scheme"]):
            return None
        return respond(
            scope["path"],
            403,
            "foreign-origin",
            f"Web pages of {origin[:200]} may not ask this service. ATTENTION_CORS_ORIGINS can allow them.",
        )

    def _local(self, host: str) -> bool:
        """Whether a Host header is one that no page of another site can have, or does not matter."""
        if _of_this_machine(host) or (_address(f"//{host}") or (host, None))[0] in self._hosts:
            return True
        try:
            return self._accounts.wanted
        except UnreadableKeys:
            return True  # nobody gets in anyway

    def _same(self, origin: str, host: str, scheme: str) -> bool:
        """Whether a page's origin is allowed, or is the service itself; whichever scheme a proxy in front speaks."""
        if origin.lower() in self._origins:
            return True
        there, here = _address(origin), _address(f"//{host}")
        if there is None or here is None:
            return False
        default = PORTS.get(origin.partition(":")[0].lower(), PORTS.get(scheme))
        return (there[0], there[1] or default) == (here[0], here[1] or default)


@lru_cache(256)
def _of_this_machine(host: str) -> bool:
    """Whether a Host header names a loopback address, or is a name that nobody can buy."""
    address = _address(f"//{host}")
    name = address[0] if address else host
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return "." not in name.rstrip(".") or name.endswith(".localhost")


def _address(url: str) -> tuple[str, int | None] | None:
    """Name and port in an address; None if it is none."""
    try:
        parts = urlsplit(url.lower())
        return (parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None
