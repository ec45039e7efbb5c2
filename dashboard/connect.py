"""The one place where pages get their client, so that tests can put theirs here."""

import os
from collections.abc import Callable, Hashable
from typing import TypeVar

import httpx2
import streamlit as st

from attention.client import Client
from attention.schemas import Catalog, Image
from attention.spec import Plain, Request

R = TypeVar("R", bound=Plain)
T = TypeVar("T")

DEFAULT_API = "http://127.0.0.1:8000"
KEPT = 100
"""How many answers a session remembers, so that a click that changes only the drawing asks nothing again."""


@st.cache_resource
def client() -> Client:
    """The API at ATTENTION_API, by default on this machine."""
    return Client(http())


def http() -> httpx2.Client:
    """How the API is asked: at ATTENTION_API, with the key in ATTENTION_API_KEY, if there is one."""
    key = os.environ.get("ATTENTION_API_KEY", "").strip()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.Client(base_url=os.environ.get("ATTENTION_API", DEFAULT_API), headers=headers, timeout=120)


def ask(request: Request[R]) -> R:
    """``client().ask``, remembered for the session: a report depends on nothing but its request."""
    return _remembered(request, lambda: client().ask(request))


def catalog() -> Catalog:
    """``client().catalog()``, remembered for the session."""
    return _remembered("catalog", client().catalog)


def picture(image: Image, size: int) -> bytes:
    """A small picture of a stored photo, remembered for the session."""
    return _remembered((image.id, size), lambda: client().image_file(image.id, size))


def _remembered(key: Hashable, find: Callable[[], T]) -> T:
    answers: dict[Hashable, T] = st.session_state.setdefault("answers", {})
    if key not in answers:
        answers[key] = find()
        while len(answers) > KEPT:
            del answers[next(iter(answers))]
    return answers[key]
