"""Who may ask: API keys where they are wanted, and limits for each of them."""

import logging
from collections.abc import Iterator

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.access.keys import Key, KeyRing, UnreadableKeys
from server.access.limits import Account, on_account
from server.problems import respond
from server.settings import Settings

log = logging.getLogger(__name__)

OPEN = ("/", "/v1/health", "/v1/ready", "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")
"""What needs no key: signs of life for what watches the service, and what the API says of itself."""

METRICS = "/metrics"
"""Path of the metrics, which tell of all keys and so answer operators' keys only."""

OPEN_BELOW = "/static-offline-docs/"

ACCOUNT = "attention.account"
"""Where in an ASGI scope the account of a request is."""


class Accounts:
    """One account for each key that asked, and one for all who ask without."""

    def __init__(self, settings: Settings, ring: KeyRing) -> None:
        self.ring = ring
        self._settings = settings
        self._without_key = Account("", settings)
        self._by_id: dict[str, Account] = {}

    @property
    def wanted(self) -> bool:
        """Whether a key is asked for.

        Raises:
            UnreadableKeys: the keys cannot be read.
        """
        return self._settings.access == "keys" or (self._settings.access == "auto" and self.ring.some)

    def of(self, token: str) -> Account | None:
        """The account of an API key; None if there is no such key in use.

        Raises:
            UnreadableKeys: the keys cannot be read.
        """
        key: Key | None = self.ring.find(token)
        if key is None:
            return None
        if key.id not in self._by_id:
            self._by_id[key.id] = Account(key.name, self._settings, key)
        return self._by_id[key.id]

    @property
    def without_key(self) -> Account:
        """The account of those who ask without a key where none is wanted; it has no limits."""
        return self._without_key

    def __iter__(self) -> Iterator[Account]:
        return iter((self._without_key, *tuple(self._by_id.values())))


class Access:
    """ASGI middleware: lets in requests that may be asked, as many at once as their key's limits allow."""

    def __init__(self, app: ASGIApp, accounts: Accounts) -> None:
        self.app = app
        self._accounts = accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN or scope["path"].startswith(OPEN_BELOW):
            await self.app(scope, receive, send)
            return
        account = self._admitted(scope)
        if isinstance(account, Response):
            await account(scope, receive, send)
            return
        scope[ACCOUNT] = account
        try:
            with on_account(account):
                await self.app(scope, receive, send)
        finally:
            account.leave()

    def _admitted(self, scope: Scope) -> Account | Response:
        """The account that a request is on, which it has entered; or the answer that it gets instead."""
        path = scope["path"]
        try:
            account = self._accounts.without_key
            if self._accounts.wanted:
                token = _token(scope)
                if not token:
                    return _unauthorized(path, "", "This service asks for an API key, and there is none.")
                owner = self._accounts.of(token)
                if owner is None:
                    return _unauthorized(
                        path, ', error="invalid_token"', "This API key is not known here, or is revoked."
                    )
                account = owner
            if path == METRICS and account.asker:
                return respond(path, 403, "not-an-operator", "The numbers of all keys are told to an operator's key.")
            account.enter()
        except UnreadableKeys:
            return respond(path, 503, "unreadable-keys", "The API keys cannot be read; the service's log says why.")
        except HTTPException as error:
            return respond(path, error.status_code, "too-many-requests", str(error.detail), error.headers)
        return account


def _token(scope: Scope) -> str:
    """The API key that came with a request, from Authorization or X-API-Key; empty if there is none."""
    token = ""
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, rest = value.decode("latin-1").partition(" ")
            if scheme.lower() == "bearer":
                return rest.strip()
        elif name == b"x-api-key":
            token = value.decode("latin-1").strip()
    return token


def _unauthorized(path: str, fault: str, sentence: str) -> Response:
    """RFC 6750: the challenge says which scheme, and what was wrong with what came."""
    detail = f"{sentence} Send one as `Authorization: Bearer KEY`; the operator of the service can make it."
    return respond(path, 401, "unauthorized", detail, {"WWW-Authenticate": f'Bearer realm="attention"{fault}'})


def exposure(settings: Settings) -> str | None:
    """A warning that anybody may use the service, in one paragraph; None if access is limited.

    Raises:
        UnreadableKeys: the keys cannot be read.
    """
    if settings.loopback or settings.access != "auto" or KeyRing(settings.keys_path).some:
        return None
    return (
        f"ANYBODY WHO REACHES {settings.host}:{settings.port} MAY USE THIS SERVICE: it listens beyond this machine, "
        "and no API key has been made. Anyone who finds it can read and delete photos, and keep it busy. Make a key: "
        "`python -m server keys create NAME`, after which every request needs one; or listen on 127.0.0.1 only "
        "(ATTENTION_HOST). If something in front of the service sees to who gets in, or its port is published on this "
        "machine only, as docker compose does, ATTENTION_ACCESS=open says so and ends this warning."
    )
