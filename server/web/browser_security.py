"""What browsers are told, and held to: headers that keep pages apart, and no questions from pages of other sites.

A service on 127.0.0.1 is open to every web page that its user visits, because the browser sits on the same machine. A
page cannot read the answers, for no other origin is allowed to, but could still send: so a request that changes or
starts something and comes from another origin is refused. And a page whose own name is made to point at the service
(DNS rebinding) is of the same origin, in the browser's eyes. That works on every address the browser can reach, a
container's published port too, so a service that asks for no key answers only to names that no page can have: IP
addresses, names without a dot, and those its operator allows.
"""

import ipaddress
import re
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.access.keys import UnreadableKeys
from server.access.middleware import Accounts
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


class BrowserSecurity:
    """ASGI middleware: security headers on every answer, and no changes by pages of other sites."""

    def __init__(self, app: ASGIApp, settings: Settings, accounts: Accounts) -> None:
        self.app = app
        self._origins = frozenset(origin.lower() for origin in settings.cors_origins)
        self._hosts = frozenset(name.lower() for name in settings.allowed_hosts)
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
        hosts, origin = [], None
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value.decode("latin-1"))
            elif name == b"origin":
                origin = value.decode("latin-1")
        if len(hosts) != 1:
            return respond(
                scope["path"],
                400,
                "host-header",
                f"A request has exactly one Host header; this one has {len(hosts)}.",
            )
        host = hosts[0]
        if not self._may_be_called(host):
            return respond(
                scope["path"],
                421,
                "misdirected-request",
                f"This service is called by the name {host[:200]!r}, which a web page of another site could have. "
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

    def _may_be_called(self, host: str) -> bool:
        """Whether a Host header is one that no page of another site can have, or does not matter."""
        if _no_site(host) or _name(host) in self._hosts:
            return True
        try:
            return self._accounts.wanted
        except UnreadableKeys:
            return True  # no request gets in anyway

    def _same(self, origin: str, host: str, scheme: str) -> bool:
        """Whether a page's origin is allowed, or is the service itself; whichever scheme a proxy in front speaks."""
        if origin.lower() in self._origins:
            return True
        origin_address, host_address = _address(origin), _address(f"//{host}")
        if origin_address is None or host_address is None:
            return False
        default = PORTS.get(origin.partition(":")[0].lower(), PORTS.get(scheme))
        return (origin_address[0], origin_address[1] or default) == (host_address[0], host_address[1] or default)


@lru_cache(256)
def _no_site(host: str) -> bool:
    """Whether a Host header is an IP address or a name without a public registry behind it."""
    name = _name(host)
    if name is None:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        name = name.rstrip(".")
        return bool(name) and ("." not in name or name.endswith(".localhost"))
    return True


def _name(host: str) -> str | None:
    """The name or address in a Host header, in lower case and without the port; None if it is malformed."""
    address = _address(f"//{host}") if _HOST.fullmatch(host) else None
    return address[0] if address else None


_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(:\d*)?")
"""A Host header as RFC 9112 allows it, with underscores, which container names have; no user, path or query."""


def _address(url: str) -> tuple[str, int | None] | None:
    """Name and port in an address; None if it is none."""
    try:
        parts = urlsplit(url.lower())
        return (parts.hostname, parts.port) if parts.hostname else None
    except ValueError:
        return None
