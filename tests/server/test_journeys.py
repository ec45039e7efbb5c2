"""How many of our files a request enters on its way to its answer: what a reader has to open to follow it.

Not counted is what a request only passes and what holds nothing of it: keys, limits, the log, numbers, and the
middleware of errors. Nor are the layers of the networks, which depend on the networks that are asked about, and threads
that work for no request: the watchdog of jobs, the writer of reports. The first photo fills caches; the second is
traced.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from starlette.testclient import TestClient

import attention
from server.app import create_app
from server.settings import Settings
from tests.server.conftest import photo

ROOT = Path(attention.__file__).parents[1]

PASSED = {
    "server/access/keys.py",
    "server/access/limits.py",
    "server/access/middleware.py",
    "server/web/browser_security.py",
    "server/web/request_log.py",
    "server/web/methods.py",
    "server/operations/metrics.py",
    "server/problems.py",
    "server/engine/admission.py",
    "server/engine/cpu_slots.py",
    "server/engine/metrics.py",
}
"""Keys, limits, the log, numbers, answers to HEAD: a request passes them, and they hold nothing of it."""

LAYERS = ("attention/backbones/", "attention/modules/", "attention/gate.py")

OTHER_THREADS = ("job-", "archive")


class Trace:
    """The files of this project that are entered, for as long as it is on."""

    def __init__(self) -> None:
        self.on = False
        self.files: set[str] = set()

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        name = frame.f_code.co_filename
        if not (self.on and event == "call" and name.startswith(f"{ROOT}/")):
            return
        if not threading.current_thread().name.startswith(OTHER_THREADS):
            self.files.add(Path(name).relative_to(ROOT).as_posix())

    @contextmanager
    def of(self) -> Iterator[set[str]]:
        """The files that are entered inside, without tests, layers, and what is only passed."""
        self.files.clear()
        self.on = True
        rooms: set[str] = set()
        try:
            yield rooms
        finally:
            self.on = False
            ours = (file for file in self.files if file.startswith(("attention/", "server/")))
            rooms |= {file for file in ours if file not in PASSED and not file.startswith(LAYERS)}


@pytest.fixture
def trace() -> Iterator[Trace]:
    tracing = Trace()
    threading.setprofile(tracing)
    yield tracing
    threading.setprofile(None)


@pytest.mark.full
def test_a_photo_enters_few_files_on_its_way_to_its_answer(trace: Trace, tmp_path: Path) -> None:
    with TestClient(create_app(Settings(data=tmp_path, device="cpu", threads=1, jobs=0))) as client:

        def compare(number: int) -> None:
            form = {"image": ("photo.jpg", photo(number))}
            answer = client.post("/v1/compare", files=form, data={"variants": "none,se,eca"})
            assert answer.status_code == 200 and len(answer.json()["predictions"]) == 3

        compare(0)
        with trace.of() as rooms:
            compare(1)
    assert {"server/api/analyses.py", "attention/analyses/compare.py", "attention/network.py"} <= rooms  # it is traced
    assert not any(room.startswith("attention/weights/") for room in rooms)  # what is known is not looked up again
    assert len(rooms) <= 22, "\n".join(sorted(rooms))


def test_a_sign_of_life_enters_four_files(trace: Trace, tmp_path: Path) -> None:
    with TestClient(create_app(Settings(data=tmp_path, device="cpu", threads=1, jobs=0))) as client:
        client.get("/v1/health")
        with trace.of() as rooms:
            assert client.get("/v1/health").status_code == 200
    assert {"server/api/health.py"} <= rooms
    assert len(rooms) <= 4, sorted(rooms)
