"""What every engine does, on one machine and on a Ray of two nodes: the same answers, the same errors, nothing lost."""

import asyncio
import hashlib
import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from attention.analyses import run
from attention.data.files import samples
from attention.errors import AttentionError, InvalidRequest, NotFound, Overloaded, UnknownName
from attention.reports.compare import CompareRequest
from attention.reports.cost import CostRequest
from attention.reports.study import StudyReport, StudyRequest
from attention.schemas import Job
from attention.spec import Ablation, Plain, Recipe, Request, Variant
from server.engine import Engine
from server.engines import make_engine, make_job_queue
from server.jobs.queue import JobQueue
from server.settings import Settings
from server.store import Store
from tests.attention.direct_lab import DirectLab
from tests.server.cluster.clusters import cluster
from tests.server.conftest import photo

__all__ = ["cluster"]

IDS = tuple(sample.id for sample in samples())
SE, ECA = "resnet20/se?weights=shipped", "resnet20/eca?weights=shipped"
ON_RAY = pytest.param("ray", marks=pytest.mark.slow)


class Service(NamedTuple):
    """An engine and a job queue with what is around them."""

    engine: Any
    queue: JobQueue
    settings: Settings
    store: Store

    def ask(self, *requests: Request[Any], photos: dict[str, bytes] | None = None) -> list[Any]:
        """Reports or errors of requests that come at once."""

        async def together() -> list[Any]:
            asked = [self.answer(request, photos) for request in requests]
            return await asyncio.gather(*asked, return_exceptions=True)

        return asyncio.run(together())

    async def answer(self, request: Request[Any], photos: dict[str, bytes] | None = None) -> Any:
        """The report of one request."""
        return request.report.model_validate_json(await self.engine.answer(request, photos))

    def submit(self, request: Request[Any]) -> str:
        """Queue a job."""
        job = self.store.jobs.add(request, 9)
        self.queue.look()
        return job.id

    def until(self, job_id: str, so: Callable[[Job], bool], seconds: float = 180.0) -> Job:
        """A job, once something is so."""
        deadline = time.monotonic() + seconds
        while not so(job := self.store.jobs.get(job_id)):
            assert time.monotonic() < deadline and (not job.ended or job.state == "done"), job
            time.sleep(0.05)
        return job


@contextmanager
def started(settings: Settings) -> Iterator[Service]:
    """A service that is open inside."""
    write_shades(settings.folder)
    engine: Engine = make_engine(settings)
    store = Store(settings.database_url)
    queue = make_job_queue(settings)
    queue.open()
    try:
        yield Service(engine, queue, settings, store)
    finally:
        queue.close()
        engine.close()
        store.close()


def of_ray(data: Path, address: str, **changes: Any) -> Settings:
    """Two replicas, and room for two runs beside them on each node."""
    sizes = {"ray_replicas_min": 2, "ray_replicas_max": 2, "ray_replica_cpus": 0.5, "ray_job_cpus": 0.5, **changes}
    return Settings(data=data, device="cpu", threads=1, engine="ray", ray_address=address, **sizes)


@pytest.fixture(scope="module", params=["local", ON_RAY])
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    data = tmp_path_factory.mktemp("data")
    settings = Settings(data=data, device="cpu", threads=1, job_threads=1)
    if request.param == "ray":
        settings = of_ray(data, request.getfixturevalue("cluster").address)
    with started(settings) as service:
        yield service


def write_shades(root: Path) -> None:
    """A data set that is learned in a moment: dark images, and light ones."""
    for split, count in (("train", 8), ("test", 4)):
        for number, label in enumerate(("dark", "light")):
            for index in range(count):
                rng = np.random.default_rng(100 * number + index + (50 if split == "test" else 0))
                path = root / "datasets" / "shades" / split / label / f"{index}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = rng.integers(0, 120, (8, 8, 3)) + 130 * number
                Image.fromarray(pixels.astype(np.uint8)).save(path)


def study(epochs: int = 2, seeds: int = 1) -> StudyRequest:
    arms = tuple(Variant.parse(f"resnet20(width=4)/{module}") for module in ("none", "eca"))
    recipe = Recipe(epochs=epochs, batch_size=8, lr=0.05, crop_padding=0)
    return StudyRequest(data="shades", size=8, variants=arms, recipe=recipe, seeds=seeds)


def compare(images: Sequence[str], *names: str, **more: Any) -> CompareRequest:
    return CompareRequest(images=tuple(images), variants=tuple(map(Variant.parse, names)), **more)


def alike(found: object, truth: object, where: str = "") -> None:
    """Two pieces of plain data are the same, numbers to five digits."""
    if isinstance(truth, float):
        assert isinstance(found, float) and math.isclose(found, truth, rel_tol=1e-5, abs_tol=1e-6), (
            where,
            found,
            truth,
        )
    elif isinstance(truth, Plain):
        assert type(found) is type(truth)
        for name in type(truth).model_fields:
            alike(getattr(found, name), getattr(truth, name), f"{where}.{name}")
    elif isinstance(truth, tuple):
        assert isinstance(found, tuple) and len(found) == len(truth), where
        for number, (one, other) in enumerate(zip(found, truth, strict=True)):
            alike(one, other, f"{where}[{number}]")
    else:
        assert found == truth, where


# ---------------------------------------------------------------- every engine


@pytest.mark.full
def test_an_answer_is_that_of_the_naive_lab(service: Service) -> None:
    asked = [
        compare(IDS[:2], SE, ECA, gates="json"),
        compare(IDS[:1], SE, ablation=Ablation(kind="neutral")),
        CostRequest(variants=(Variant.parse("resnet20/se"), Variant.parse("resnet20/eca"))),
    ]
    for request, report in zip(asked, service.ask(*asked), strict=True):
        alike(report, run(request, DirectLab(service.settings.folder)))


@pytest.mark.full
def test_clients_at_once_each_get_what_a_lone_one_gets(service: Service) -> None:
    kinds = (None, Ablation(kind="scalar"), Ablation(kind="neutral"))
    asked = [compare((IDS[number % 5],), (SE, ECA)[number % 2], ablation=kinds[number % 3]) for number in range(24)]
    lone = [service.ask(request)[0] for request in asked]
    for together, alone in zip(service.ask(*asked), lone, strict=True):
        alike(together, alone)


def test_photos_that_come_along_are_seen_and_not_kept(service: Service) -> None:
    data = photo(7)
    name = hashlib.sha256(data).hexdigest()
    request = compare((name,), SE)
    (report,) = service.ask(request, photos={name: data})
    assert report.predictions[0].image == name
    (refused,) = service.ask(request)
    assert isinstance(refused, NotFound)


@pytest.mark.full
def test_a_mistake_of_the_caller_is_told_as_on_one_machine(service: Service) -> None:
    (error,) = service.ask(compare(IDS[:1], "resnet20/cbma"))
    assert type(error) is UnknownName
    assert str(error) == "There is no attention module named 'cbma'. Did you mean 'cbam'?"


def test_a_question_that_nobody_waits_for_leaves_no_trace(service: Service) -> None:
    async def impatient() -> None:
        asked = asyncio.create_task(service.engine.answer(compare(IDS, "resnet20/cbam")))
        await asyncio.sleep(0.05)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert service.engine.accepted == 0

    asyncio.run(impatient())
    assert not isinstance(service.ask(compare(IDS[:1], SE))[0], Exception)


@pytest.mark.full
def test_a_study_is_done_as_a_job_and_gives_what_the_naive_lab_gives(service: Service, tmp_path: Path) -> None:
    job = service.until(service.submit(study()), lambda job: job.state == "done")
    assert (job.done, job.total, job.attempts) == (4, 4, 1)
    report = StudyReport.model_validate(service.store.jobs.stored_report(job.id).report)
    write_shades(tmp_path)
    truth = run(study(), DirectLab(tmp_path))
    found = [(one.arm, one.seed, one.test_accuracy, [point.loss for point in one.curve]) for one in report.runs]
    for one, other in zip(found, truth.runs, strict=True):
        assert one[:3] == (other.arm, other.seed, other.test_accuracy)
        assert one[3] == pytest.approx([point.loss for point in other.curve], rel=1e-5)


@pytest.mark.slow
def test_a_study_that_is_cancelled_stops_training(service: Service) -> None:
    def parts() -> list[float]:
        return sorted(path.stat().st_mtime for path in (service.settings.folder / "runs").glob("*.part"))

    job_id = service.submit(study(epochs=5_000))
    service.until(job_id, lambda job: job.done >= 2 and job.report == "partial")
    service.store.jobs.cancel(job_id)
    service.queue.look()
    deadline, last = time.monotonic() + 60, parts()
    while True:
        time.sleep(3.0)
        if (now := parts()) == last:
            break
        last = now
        assert time.monotonic() < deadline, "it trains on"
    assert service.store.jobs.get(job_id).state == "cancelled"


def test_ray_is_asked_for_with_a_sentence_where_it_is_not(tmp_path: Path) -> None:
    if find_spec("ray"):
        pytest.skip("Ray is installed")
    with pytest.raises(InvalidRequest, match=r"pip install 'attention-lab\[scale\]'"):
        make_engine(Settings(data=tmp_path, engine="ray"))


@pytest.mark.slow
@pytest.mark.parametrize("address", ["127.0.0.1:1", "nowhere.invalid:6379", "port"])
def test_a_cluster_that_is_not_there_is_named(address: str, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(InvalidRequest, match=f"There is no Ray cluster at '{address}'.*ray start --head"):
        make_engine(of_ray(tmp_path, address))


# ---------------------------------------------------------------- machines that go away


@pytest.mark.slow
def test_an_item_whose_worker_dies_is_begun_once_more_and_then_reported_with_the_reason(
    cluster: Any, tmp_path: Path
) -> None:
    from server.cluster.ray import RayJobLab
    from server.jobs.lab import job_lab

    class Wanted:
        def check(self) -> None:
            pass

    def deadly(item: str, on_progress: Callable[[str], None]) -> str:
        trace = tmp_path / item
        count = len(trace.read_text()) if trace.exists() else 0
        trace.write_text("x" * (count + 1))
        on_progress(f"{item} {count}")
        if item == "cursed" or (item == "unlucky" and count == 0):
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{item} done"

    def wrong(item: str, on_progress: Callable[[str], None]) -> str:
        raise UnknownName("thing", item, ["other"])

    told: list[tuple[str, str]] = []
    with job_lab(of_ray(tmp_path, cluster.address), Wanted(), RayJobLab) as lab:  # type: ignore[arg-type]

        def spread(fn: Any, *items: str) -> list[str]:
            return sorted(lab.map(fn, items, lambda *said: told.append(said), lambda item, how: f"{item} lost: {how}"))

        cursed, fine, unlucky = spread(deadly, "fine", "unlucky", "cursed")
        with pytest.raises(UnknownName, match="There is no thing named 'it'"):
            spread(wrong, "it")
    assert (fine, unlucky) == ("fine done", "unlucky done")
    assert cursed.startswith("cursed lost: The process that worked on this") and cursed.endswith("second time.")
    assert {"fine 0", "unlucky 1"} <= {part for _, part in told}
    assert (tmp_path / "cursed").read_text() == "xx"


@pytest.mark.slow
def test_a_node_that_dies_takes_no_answer_and_no_finished_run_with_it(
    cluster: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Load and a study are under way on both nodes when one of them is killed."""
    settings = of_ray(tmp_path_factory.mktemp("data"), cluster.address, ray_job_cpus=1.0)  # two runs at a time, of six
    checkpoints = settings.folder / "checkpoints"

    def kept() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in checkpoints.glob("run-*.safetensors")}

    with started(settings) as service:
        job_id = service.submit(study(epochs=80, seeds=3))
        asked = [compare((IDS[n % 15],), (SE, ECA)[n % 2]) for n in range(60)]
        truth = {request.model_dump_json(): service.ask(request)[0] for request in asked[:30]}
        service.until(job_id, lambda job: bool(kept()))
        finished = kept()

        async def load() -> list[Any]:
            async def one(number: int) -> Any:
                await asyncio.sleep(number / 15)
                return await service.answer(asked[number])

            answers = asyncio.gather(*map(one, range(60)), return_exceptions=True)
            await asyncio.sleep(1.5)
            (doomed,) = cluster.worker_nodes
            await asyncio.to_thread(cluster.remove_node, doomed, allow_graceful=False)
            return await answers

        answers = asyncio.run(load())
        assert service.store.jobs.get(job_id).state in ("queued", "running")
        cluster.add_node(num_cpus=2)
        refused = [one for one in answers if isinstance(one, BaseException)]
        assert all(isinstance(one, Overloaded) and one.retry_after_s > 0 for one in refused), refused
        for request, answer in zip(asked, answers, strict=True):
            if not isinstance(answer, AttentionError):
                alike(answer, truth[request.model_dump_json()])
        assert len(refused) < 30
        job = service.until(job_id, lambda job: job.state == "done", seconds=600)
        report = StudyReport.model_validate(service.store.jobs.stored_report(job.id).report)
        assert report.complete and not [one.failed for one in report.runs if one.failed]
        assert len(report.runs) == 6
        assert finished.items() <= kept().items()  # trained once, not again
        assert service.engine.alive
