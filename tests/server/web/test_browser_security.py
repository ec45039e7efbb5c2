"""What web pages may do: nothing from other sites unless allowed, and nothing that an upload brings along."""

import asyncio
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient
from starlette.types import Message

from server.access.keys import create_key
from server.app import create_app
from server.settings import Settings
from tests.server.conftest import photo

COST = {"variants": ["resnet20/se"]}
FRIEND = "https://lab.example.org"


@pytest.fixture
def friendly(settings: Settings) -> Iterator[TestClient]:
    """A service that lets the pages of one other site ask."""
    with TestClient(create_app(settings.model_copy(update={"cors_origins": (FRIEND,)}))) as client:
        yield client


@pytest.mark.full
def test_no_other_site_may_read_an_answer(client: TestClient) -> None:
    answer = client.get("/v1/images", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    leave = client.options("/v1/cost", headers=asked)  # says which methods there are, and no page that it may
    assert not [name for name in leave.headers if name.startswith("access-control")]


@pytest.mark.full
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://testserver.evil.example", "http://testserver:81"]
)
def test_no_other_site_may_start_or_change_anything(client: TestClient, origin: str) -> None:
    """A form or an image upload needs no leave of CORS, so the service itself has to refuse."""
    answer = client.post("/v1/images", files={"image": ("x.jpg", photo())}, headers={"Origin": origin})
    assert answer.status_code == 403 and "ATTENTION_CORS_ORIGINS" in answer.json()["detail"]
    assert len(client.get("/v1/images").json()["images"]) == len(
        [image for image in client.get("/v1/images").json()["images"] if image["sample"]]
    )


@pytest.mark.full
@pytest.mark.parametrize("origin", ["http://testserver", "http://testserver:80", "HTTP://TestServer"])
def test_the_pages_of_the_service_itself_may_ask(client: TestClient, origin: str) -> None:
    assert client.post("/v1/cost", json=COST, headers={"Origin": origin}).status_code == 200


@pytest.mark.full
def test_an_allowed_site_may_ask_with_a_key_and_read_when_to_come_back(friendly: TestClient) -> None:
    asked = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    leave = friendly.options("/v1/cost", headers=asked)
    assert leave.status_code == 200 and leave.headers["Access-Control-Allow-Origin"] == FRIEND
    answer = friendly.post("/v1/cost", json=COST, headers={"Origin": FRIEND})
    assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]
    assert friendly.post("/v1/cost", json=COST, headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.full
def test_leave_to_ask_needs_no_key_but_asking_does(settings: Settings) -> None:
    create_key(settings.keys_path, "lab")
    with TestClient(create_app(settings.model_copy(update={"cors_origins": (FRIEND,)}))) as client:
        asked = {"Origin": FRIEND, "Access-Control-Request-Method": "POST"}
        assert client.options("/v1/cost", headers=asked).status_code == 200
        refused = client.post("/v1/cost", json=COST, headers={"Origin": FRIEND})
        assert refused.status_code == 401 and refused.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.full
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("127.8.8.8", 200),
        ("[::1]:8000", 200),
        ("localhost:8000", 200),
        ("api.localhost", 200),
        ("api:8000", 200),
        ("rebound.evil.example", 421),
        ("rebound.evil.example:8000", 421),
        ("10.0.0.7", 200),
        ("[2001:db8::7]:8000", 200),
        ("my_api:8000", 200),
        ("API.:8000", 200),
        ("127.0.0.1.evil.example", 421),
        ("evil.example.", 421),
        ("evil.example@127.0.0.1", 421),
        ("127.0.0.1/.evil.example", 421),
        ("a.b:x", 421),
        (".", 421),
        ("", 421),
    ],
)
@pytest.mark.parametrize("bind", ["127.0.0.1", "0.0.0.0"])
def test_a_name_that_was_made_to_point_here_gets_nothing(settings: Settings, bind: str, host: str, status: int) -> None:
    """DNS rebinding: to the browser such a page and this service are one site, in a container as on this machine."""
    with TestClient(create_app(settings.model_copy(update={"host": bind}))) as client:
        assert client.get("/v1/images", headers={"Host": host}).status_code == status
        sent = client.post("/v1/images", files={"image": ("x.jpg", photo())}, headers={"Host": host})
        assert sent.status_code == (201 if status == 200 else 421)


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1", "127.0.0.1"], ["127.0.0.1", "evil.example"]])
def test_a_request_has_exactly_one_host(settings: Settings, hosts: list[str]) -> None:
    """The first of two could pass the check while a proxy goes by the second."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/health",
        "query_string": b"",
        "headers": [(b"host", host.encode()) for host in hosts],
        "scheme": "http",
    }
    asyncio.run(create_app(settings)(scope, receive, send))
    assert sent[0]["status"] == 400 and b"Host header" in sent[1]["body"]


@pytest.mark.full
def test_a_name_in_front_can_be_allowed_and_with_keys_any_will_do(settings: Settings) -> None:
    named = settings.model_copy(update={"allowed_hosts": ("lab.example.org",)})
    with TestClient(create_app(named)) as client:
        assert client.get("/v1/images", headers={"Host": "lab.example.org"}).status_code == 200
        assert client.get("/v1/images", headers={"Host": "other.example.org"}).status_code == 421
    _, token = create_key(settings.keys_path, "lab")
    with TestClient(create_app(settings)) as client:
        headers = {"Host": "any.example.org", "Authorization": f"Bearer {token}"}
        assert client.get("/v1/images", headers=headers).status_code == 200


@pytest.mark.full
def test_open_to_the_network_without_a_key_is_checked_as_well(settings: Settings) -> None:
    """Compose binds 0.0.0.0 inside the container; `access=open` is no key either."""
    for access in ("auto", "open"):
        open_wide = settings.model_copy(update={"host": "0.0.0.0", "access": access})
        with TestClient(create_app(open_wide)) as client:
            assert client.get("/v1/images", headers={"Host": "lab.example.org"}).status_code == 421
    named = settings.model_copy(update={"host": "0.0.0.0", "allowed_hosts": ("lab.example.org",)})
    with TestClient(create_app(named)) as client:
        assert client.get("/v1/images", headers={"Host": "lab.example.org"}).status_code == 200


@pytest.mark.full
@pytest.mark.parametrize("path", ["/v1/images", "/v1/nothing", "/docs", "/openapi.json", "/metrics", "/v1/images/x"])
def test_every_answer_tells_browsers_to_keep_apart(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy
    assert ("script-src" in policy) is (path == "/docs")


@pytest.mark.full
def test_an_upload_that_is_a_page_as_well_runs_nothing(client: TestClient) -> None:
    polyglot = photo(form="PNG") + b"<script>alert(1)</script>"
    image_id = client.post("/v1/images", files={"image": ("x.html", polyglot)}).json()["id"]
    answer = client.get(f"/v1/images/{image_id}/file")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers["Content-Security-Policy"].endswith("sandbox")


def test_origins_and_hosts_come_from_the_environment_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTENTION_CORS_ORIGINS", "https://a.example, http://b.example:81")
    monkeypatch.setenv("ATTENTION_ALLOWED_HOSTS", "lab.example.org")
    settings = Settings()
    assert settings.cors_origins == ("https://a.example", "http://b.example:81")
    assert settings.allowed_hosts == ("lab.example.org",)
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings  # as a job's process gets them
    for wrong in ("*", "a.example", "https://a.example/", "https://*.example"):
        monkeypatch.setenv("ATTENTION_CORS_ORIGINS", wrong)
        with pytest.raises(ValueError, match="cors_origins"):
            Settings()
