"""The same question twice is worked on once, and nobody's giving up or failure disturbs another."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from server.answers.answer_cache import AnswerCache
from server.app import create_app
from server.engine.admission import MemoryBudget
from server.settings import Settings
from tests.server.conftest import photo


def remembering(max_bytes: int = 800) -> AnswerCache[bytes]:
    return AnswerCache(len, MemoryBudget(8 * max_bytes))  # answers have an eighth


class Work:
    """An answer that is made when it is let go, and counts how often it was begun."""

    def __init__(self, answer: bytes | Exception = b"answer") -> None:
        self.answer, self.begun, self.cancelled = answer, 0, 0
        self.go = asyncio.Event()

    async def __call__(self) -> bytes:
        self.begun += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_64_who_ask_the_same_at_once_share_one_piece_of_work() -> None:
    async def main() -> None:
        kept, work = remembering(), Work()
        asked = [asyncio.ensure_future(kept.get("question", work)) for _ in range(64)]
        await asyncio.sleep(0)
        work.go.set()
        assert await asyncio.gather(*asked) == [b"answer"] * 64
        assert await kept.get("question", work) == b"answer"
        assert (work.begun, kept.made, kept.shared, kept.hits) == (1, 1, 63, 1)

    asyncio.run(main())


def test_another_question_is_worked_on_by_itself() -> None:
    async def main() -> None:
        kept = remembering()
        assert await kept.get("one", quick(b"1")) == b"1"
        assert await kept.get("two", quick(b"2")) == b"2"
        assert await kept.get("one", quick(b"other")) == b"1"

    asyncio.run(main())


def quick(answer: bytes) -> Callable[[], Awaitable[bytes]]:
    async def make() -> bytes:
        return answer

    return make


def test_one_who_gives_up_disturbs_nobody_also_when_it_asked_first() -> None:
    async def main() -> None:
        kept, work = remembering(), Work()
        first, second = (asyncio.ensure_future(kept.get("question", work)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        work.go.set()
        assert await second == b"answer" and work.begun == 1 and not work.cancelled
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(main())


def test_work_that_nobody_waits_for_any_more_is_cancelled_and_can_be_asked_again() -> None:
    async def main() -> None:
        kept, work = remembering(), Work()
        asked = [asyncio.ensure_future(kept.get("question", work)) for _ in range(3)]
        await asyncio.sleep(0)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.sleep(0)
        assert work.cancelled == 1
        assert await kept.get("question", quick(b"again")) == b"again"

    asyncio.run(main())


def test_a_failure_is_told_to_all_who_wait_and_not_remembered() -> None:
    async def main() -> None:
        kept, work = remembering(), Work(ValueError("no"))
        asked = [asyncio.ensure_future(kept.get("question", work)) for _ in range(3)]
        await asyncio.sleep(0)
        work.go.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [str(one) for one in found] == ["no"] * 3
        assert await kept.get("question", quick(b"better")) == b"better"

    asyncio.run(main())


def test_the_oldest_answers_make_room_and_a_huge_one_is_not_kept() -> None:
    async def main() -> None:
        kept = remembering(max_bytes=800)
        for number in range(10):
            await kept.get(number, quick(bytes(100)))
        await kept.get("huge", quick(bytes(101)))
        before = kept.made
        for number in range(2, 10):
            await kept.get(number, quick(b""))
        assert kept.made == before  # the eight newest are there
        await kept.get(0, quick(b""))
        await kept.get("huge", quick(b""))
        assert kept.made == before + 2

    asyncio.run(main())


@pytest.mark.full
def test_the_same_photo_twice_runs_the_networks_once_and_64_at_once_too(client: TestClient) -> None:
    def ask(number: int) -> dict[str, object]:
        answer = client.post("/v1/compare", files={"image": ("a.jpg", photo(number))}, data={"variants": "eca"})
        assert answer.status_code == 200
        assert answer.headers["report-id"]
        return dict(answer.json())

    told = client.app.state.service.answer_cache  # type: ignore[attr-defined]
    with ThreadPoolExecutor(64) as callers:
        together = list(callers.map(ask, [7] * 64))
    assert all(one == together[0] for one in together)
    assert told.made == 1 and told.shared + told.hits == 63
    assert ask(8) != together[0] and told.made == 2


@pytest.mark.full
def test_an_answer_about_a_deleted_photo_is_not_remembered(client: TestClient, image_id: str) -> None:
    question = {"images": [image_id], "variants": ["eca"]}
    assert client.post("/v1/compare", json=question).status_code == 200
    assert client.delete(f"/v1/images/{image_id}").status_code == 204
    assert client.post("/v1/compare", json=question).status_code == 404


@pytest.mark.full
def test_nothing_is_remembered_where_the_operator_wants_none(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"remember_answers": False}))) as client:
        for _ in range(2):
            assert client.post("/v1/cost", json={}).status_code == 200
        assert client.app.state.service.answer_cache.made == 2  # type: ignore[attr-defined]
