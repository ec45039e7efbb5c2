"""The dashboard asks with the key that its environment has, and without one where there is none."""

from threading import Event

import httpx2
import pytest
import streamlit as st

from attention.client import Client, Unreachable
from dashboard import connect


@pytest.mark.parametrize(
    ("key", "sent"), [(None, None), ("", None), (" att_1_x ", "Bearer att_1_x"), ("att_1_x", "Bearer att_1_x")]
)
def test_the_key_comes_from_the_environment(key: str | None, sent: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTENTION_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("ATTENTION_API_KEY", key)
    with connect.http() as made:
        assert made.headers.get("Authorization") == sent


class Service(httpx2.BaseTransport):
    """A service that answers one path only when it is allowed to, and says that it lives unless it is stopped."""

    def __init__(self) -> None:
        self.go_on, self.stopped, self.asked = Event(), False, list[str]()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url.path)
        if request.url.path == "/v1/health":
            if self.stopped:
                raise httpx2.ReadTimeout("no answer", request=request)
            self.go_on.set()
            return httpx2.Response(200, request=request)
        self.go_on.wait()
        return httpx2.Response(200, text="the answer", request=request)


def test_a_slow_answer_is_waited_for_while_the_service_lives() -> None:
    service = Service()
    with httpx2.Client(base_url="http://api", transport=connect.Watched(service, patience_s=0.01)) as http:
        assert http.get("/v1/images").text == "the answer"
    assert service.asked[:2] == ["/v1/images", "/v1/health"]


def test_a_service_that_hangs_is_known_by_its_silence() -> None:
    service = Service()
    service.stopped = True
    with httpx2.Client(base_url="http://api", transport=connect.Watched(service, patience_s=0.01)) as http:
        with pytest.raises(Unreachable, match="does not answer"):
            Client(http).images()
    service.go_on.set()


def test_an_error_of_the_connection_is_passed_on() -> None:
    def refuse(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused", request=request)

    watched = connect.Watched(httpx2.MockTransport(refuse))
    with httpx2.Client(base_url="http://api", transport=watched) as http:
        with pytest.raises(httpx2.ConnectError):
            http.get("/v1/images")


def test_the_catalogue_is_asked_once_for_all_sessions_of_a_client(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor who logs in has a client of their own."""
    body, asked = client.catalog().model_dump_json().encode(), list[str]()

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers["Authorization"])
        return httpx2.Response(200, content=body)

    everybody, visitor = (
        Client(
            httpx2.Client(base_url="http://api", headers={"Authorization": key}, transport=httpx2.MockTransport(answer))
        )
        for key in ("dashboard", "visitor")
    )
    for someone in (everybody, visitor, everybody, visitor):
        st.session_state.clear()
        monkeypatch.setattr(connect, "client", lambda someone=someone: someone)
        assert connect.catalog() == client.catalog()
    assert asked == ["dashboard", "visitor"]
