"""The one place where pages get their client, so that tests can put theirs here."""

import hashlib
import os
from collections.abc import Callable, Hashable
from queue import Empty, Queue
from threading import Lock, Thread
from typing import TypeVar

import httpx2
import streamlit as st
from cachetools import TTLCache, cached

from attention.client import Client, ServiceError
from attention.reports.parts.catalog import Catalog
from attention.schemas import Image, StoredReport
from attention.spec import Plain, Request

R = TypeVar("R", bound=Plain)
T = TypeVar("T")

DEFAULT_API = "http://127.0.0.1:8000"
KEPT = 100
"""How many answers a session remembers, so that a click that changes only the drawing asks nothing again."""
SHARED, SHARED_S = 100, 300.0
"""How many answers that come with the service all sessions remember together, and for how many seconds."""
PICTURES = 1000
"""How many small pictures of photos all sessions remember together."""


VISITOR = "connect.visitor"
"""In the session: the client that asks with the visitor's key."""


def client() -> Client:
    """The API at ATTENTION_API, by default on this machine, with the key of the visitor who has logged in."""
    visitors: Client | None = st.session_state.get(VISITOR)
    return _client() if visitors is None else visitors


@st.cache_resource
def _client() -> Client:
    return Client(http())


def log_in(key: str) -> None:
    """Ask with a visitor's key from now on. The session alone keeps it, and forgets all that another key was told.

    Raises:
        ServiceError: the service does not take it, or does not answer.
    """
    visitors = Client(http(key))
    visitors.storage()
    st.session_state.clear()
    st.session_state[VISITOR] = visitors


def asks_for_key() -> bool:
    """Whether the service answers only to those who have a key.

    Raises:
        ServiceError: it does not answer at all.
    """
    try:
        Client(http("")).storage()
    except ServiceError as error:
        if error.status != 401:
            raise
        return True
    return False


def log_out() -> None:
    """Forget the visitor's key, and all that it was told."""
    st.session_state.clear()


def has_key() -> bool:
    """Whether the service is asked with a key, the visitor's or the dashboard's own."""
    return "Authorization" in client().http.headers


def logged_in() -> bool:
    """Whether the visitor has logged in with a key."""
    return VISITOR in st.session_state


def http(key: str | None = None) -> httpx2.Client:
    """How the API is asked: at ATTENTION_API, with a key, by default that in ATTENTION_API_KEY, if there is one."""
    key = os.environ.get("ATTENTION_API_KEY", "").strip() if key is None else key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    address = os.environ.get("ATTENTION_API", DEFAULT_API)
    return httpx2.Client(base_url=address, headers=headers, timeout=120, transport=Watched(httpx2.HTTPTransport()))


PATIENCE_S, HEALTH_S = 1.0, 1.5
"""How long an answer may take before the service is asked whether it lives, and how long it may take to say so."""
LOOK_EVERY_S = 3.0
"""Seconds after which a part of a page asks again how jobs stand, and so whether the service answers.

It has to be longer than it takes to know that the service hangs: Streamlit runs a part again when its time comes, also
one that still waits, and shows nothing of the run that it gave up.
"""


class Watched(httpx2.BaseTransport):
    """Waits for an answer for as long as the service is alive: one that hangs is known within seconds.

    A slow answer and a hanging service look alike to a timeout. So while an answer is awaited, the service is asked now
    and then whether it lives, and the wait ends with an error as soon as it does not say so.

    Args:
        inner: sends requests.
        patience_s: how long an answer may take before the service is asked.
    """

    def __init__(self, inner: httpx2.BaseTransport, patience_s: float = PATIENCE_S) -> None:
        self._inner, self._patience_s = inner, patience_s

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """The response to a request.

        Raises:
            httpx2.TransportError: the request failed, or the service does not say that it lives.
        """
        answers: Queue[httpx2.Response | Exception] = Queue()

        def send() -> None:
            try:
                answers.put(self._inner.handle_request(request))
            except Exception as error:
                answers.put(error)

        Thread(target=send, name="api-request", daemon=True).start()
        while True:
            try:
                answer = answers.get(timeout=self._patience_s)
            except Empty:
                self._require_life(request)
                continue
            if isinstance(answer, Exception):
                raise answer
            return answer

    def _require_life(self, request: httpx2.Request) -> None:
        limits = httpx2.Timeout(HEALTH_S).as_dict()
        question = httpx2.Request("GET", request.url.join("/v1/health"), extensions={"timeout": limits})
        try:
            self._inner.handle_request(question).close()
        except httpx2.TransportError:
            raise httpx2.ReadError("The service does not say that it lives.", request=request) from None

    def close(self) -> None:
        """Close all connections."""
        self._inner.close()


def ask(request: Request[R]) -> R:
    """``client().ask``, remembered for the session: a report depends on nothing but its request."""
    return _remembered(request, lambda: client().ask(request))


def catalog() -> Catalog:
    """``client().catalog()``, remembered for all sessions of a client: it stays as it is while the service runs."""
    return _shared(client(), "catalog", client().catalog)


def report(job_id: str, kind: type[R]) -> R:
    """``client().report`` of a finished job, remembered for the session."""
    return _remembered((job_id, kind), lambda: client().report(job_id, kind))


def shipped(question: type[Request[R]], name: str = "") -> tuple[StoredReport, R] | None:
    """A report that comes with the service, as it is stored and typed; None if none does.

    It is remembered for all sessions of a client, since it stays as it is while the service runs.

    Args:
        name: of the report; the first of its kind if empty.
    """

    def find() -> tuple[StoredReport, R] | None:
        stored = client().shipped(name or question.analysis)
        if stored is None or stored.analysis != question.analysis:
            return None
        return stored, question.report.model_validate(stored.report)  # type: ignore[return-value]

    return _shared(client(), (question, name), find)


def picture(image: Image, size: int) -> bytes:
    """A small picture of a stored photo, remembered for all sessions of a key: its bytes never change under its id."""
    asked_with = client().http.headers.get("Authorization", "")
    return _picture(image.id, size, hashlib.sha256(asked_with.encode()).hexdigest())


@st.cache_data(max_entries=PICTURES, show_spinner=False)
def _picture(id: str, size: int, asked_with: str) -> bytes:
    return client().image_file(id, size)


@cached(TTLCache(SHARED, SHARED_S), key=lambda asked, key, find: (asked, key), lock=Lock())
def _shared(asked: Client, key: Hashable, find: Callable[[], T]) -> T:
    return find()


def _remembered(key: Hashable, find: Callable[[], T]) -> T:
    answers: dict[Hashable, T] = st.session_state.setdefault("connect.answers", {})
    if key not in answers:
        answers[key] = find()
        while len(answers) > KEPT:
            del answers[next(iter(answers))]
    return answers[key]
