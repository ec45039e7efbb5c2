"""The engine of a cluster: requests in replicas of Ray Serve, jobs and the runs of studies as Ray tasks.

A replica is a whole local engine, so what holds on one machine holds in each: one thread owns the networks, and images
share a batch by (variant, ablation, shape). Ray says only which replica a request goes to, one that has its networks in
memory if it can, and on which machine there is room. This is the only file that knows Ray.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event, Thread
from time import monotonic
from typing import Any, TypeVar

import ray
from ray import serve
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from attention.analyses import analyses, request_type
from attention.analysis import Step
from attention.data.files import Files
from attention.errors import AttentionError, InvalidRequest, Overloaded, first_line
from attention.models import own_models
from attention.spec import Request
from server.cluster.remote_workers import check_reachable, networks_key, stream_results, worker_settings
from server.engine.admission import Admission
from server.engine.local import LocalEngine
from server.engine.metrics import QuestionMetrics
from server.engine.networks import Networks
from server.jobs.lab import JobLab
from server.jobs.order import Order
from server.jobs.progress import Reporter
from server.jobs.worker import run_job
from server.process import prepare_process
from server.settings import Settings
from server.store.jobs import Claim
from server.store.ownership import ASKER, asking_as

S = TypeVar("S")
T = TypeVar("T")

log = logging.getLogger(__name__)

APP = "attention"

LOOK_EVERY_S = 2.0
SILENT_S = 15.0
"""How often Serve is asked how it is, and after how long without a good answer it is not well."""

KILLED_WITHIN_S = 10.0

KEYS_KEPT = 8
"""Keys of networks for which Serve sends requests to the replica that had them last."""


# ---------------------------------------------------------------- requests


class Replica:
    """A local engine somewhere in the cluster."""

    def __init__(self, chosen: Mapping[str, Any], stamp: str) -> None:
        settings = Settings.model_validate(chosen)
        prepare_process(settings)
        own_models.read(settings.models)
        self._stamp = stamp
        self._engine = LocalEngine(settings)
        self._keep = serve.multiplexed(max_num_models_per_replica=KEYS_KEPT)(_kept)

    async def answer(
        self, request: Request[Any], photos: Mapping[str, bytes] | None, asker: str | None
    ) -> bytes | AttentionError:
        """The report for an asker as JSON, or what the caller can mend."""
        if networks := serve.get_multiplexed_model_id():
            await self._keep(networks)
        try:
            with asking_as(asker):
                return await self._engine.answer(request, photos)
        except AttentionError as error:
            return error

    def about(self) -> tuple[str, str]:
        """By what settings it goes, and its device."""
        return self._stamp, self._engine.device

    def check_health(self) -> None:
        """Serve starts another replica in this one's place when this fails."""
        if not self._engine.alive:
            raise RuntimeError("The thread that owns the networks has ended.")


async def _kept(networks: str) -> str:
    """Serve learns so that this replica has the networks of a key; the replica's engine keeps them."""
    return networks


class RayEngine:
    """Answers requests in Serve's replicas.

    Raises:
        InvalidRequest: there is no Ray cluster where the settings say.
    """

    def __init__(self, settings: Settings) -> None:
        self.files = Files(settings.folder, settings.files)
        self.metrics = QuestionMetrics(lambda: self.accepted)
        self.accepted = 0
        """Questions accepted and not yet answered; only the event loop's thread counts."""
        self._admission = Admission(settings.ray_replicas_max * settings.workers + settings.max_queue)
        self._joined = not ray.is_initialized()
        _join(settings)
        self._handle, self.device = _deployed(settings)
        self._well = monotonic()
        self._closing = Event()
        Thread(target=self._look, name="serve-watchdog", daemon=True).start()

    @property
    def alive(self) -> bool:
        """Whether requests would be answered."""
        return not self._closing.is_set() and monotonic() - self._well < SILENT_S

    async def answer(self, request: Request[Any], photos: Mapping[str, bytes] | None = None) -> bytes:
        """The report of a request, as JSON. One whose replica goes away in the middle of it goes to another, once.

        Args:
            photos: images by id that came along with the request; they are there for its answer and not kept.

        Raises:
            AttentionError: whatever the caller can mend; Overloaded if too many requests wait, or two replicas went.
        """
        if self._closing.is_set():
            raise Overloaded("The service is shutting down and takes no new work.", retry_after_s=5.0)
        self._admission.enter()
        self.accepted += 1
        answered = False
        try:
            with self.metrics.analysis(request.analysis):
                for _ in range(2):
                    try:
                        answer = await self._ask(request, photos)
                    except RayTaskError:
                        raise  # a bug in what the replica runs
                    except RayError as error:
                        log.warning("A replica is gone in the middle of a request (%s).", type(error).__name__)
                        continue
                    answered = True
                    if isinstance(answer, AttentionError):
                        raise answer
                    return answer
            raise Overloaded("The machines that worked on this went away. Try again in 5 s.", retry_after_s=5.0)
        finally:
            self.accepted -= 1
            self._admission.leave(answered)

    def check_room(self) -> None:
        """Return if there is room for one more question; there may be none any more when it comes.

        Raises:
            Overloaded: there is none.
        """
        self._admission.check()

    async def _ask(self, request: Request[Any], photos: Mapping[str, bytes] | None) -> bytes | AttentionError:
        replicas = self._handle.options(multiplexed_model_id=networks_key(request))
        response = replicas.answer.remote(request, photos, ASKER.get())
        try:
            answer: bytes | AttentionError = await response
            return answer
        except asyncio.CancelledError:
            response.cancel()
            raise
        except BackPressureError:
            raise Overloaded("Too many requests are waiting already. Try again in 2 s.", retry_after_s=2.0) from None

    def close(self) -> None:
        """Leave the cluster. The replicas stay, for other services and next time."""
        self._closing.set()
        if self._joined:
            ray.shutdown()

    def _look(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                application = serve.status().applications.get(APP)
            except Exception as error:  # a cluster that is away for a moment
                log.warning("Serve does not say how it is: %s", error)
                continue
            if application and any(
                deployment.replica_states.get("RUNNING") for deployment in application.deployments.values()
            ):
                self._well = monotonic()


def _join(settings: Settings) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    where = settings.ray_address or "auto"
    try:
        if settings.ray_address:  # Ray itself would try for minutes
            check_reachable(where)
        ray.init(address=where, namespace=APP, ignore_reinit_error=True, configure_logging=False)
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"There is no Ray cluster at {where!r} ({first_line(error)}). This machine has to be a node "
            "of it: ray start --head, or ray start --address=HOST:PORT."
        ) from None


def cluster_description(settings: Settings) -> str:
    """Join the cluster for a moment, and say in words what it has.

    Raises:
        InvalidRequest: there is no Ray cluster where the settings say.
    """
    joined = not ray.is_initialized()
    _join(settings)
    try:
        room = ray.cluster_resources()
        nodes = sum(bool(node["Alive"]) for node in ray.nodes())
    finally:
        if joined:
            ray.shutdown()
    return f"A Ray cluster of {nodes} nodes with {room.get('CPU', 0):g} CPUs and {room.get('GPU', 0):g} GPUs answers."


def _deployed(settings: Settings) -> tuple["DeploymentHandle[Any]", str]:
    """The replicas' handle and device. They are started, or one after the other replaced, unless they are as asked."""
    chosen, stamp = worker_settings(settings)
    try:
        handle: DeploymentHandle[Any] = serve.get_app_handle(APP)
        there, device = handle.about.remote().result(timeout_s=30)
        if there == stamp:
            return handle, device
    except (RayServeException, RayError, TimeoutError):
        pass  # not there yet
    serve.start(proxy_location="Disabled")
    replicas = serve.deployment(
        Replica,
        max_ongoing_requests=settings.workers,
        max_queued_requests=settings.max_queue,
        autoscaling_config={
            "min_replicas": settings.ray_replicas_min,
            "max_replicas": max(settings.ray_replicas_min, settings.ray_replicas_max),
            "target_ongoing_requests": min(settings.max_batch_size, settings.workers),
        },
        ray_actor_options={"num_cpus": settings.ray_replica_cpus, "num_gpus": settings.ray_replica_gpus},
        graceful_shutdown_timeout_s=settings.shutdown_timeout_s,
    )
    handle = serve.run(replicas.bind(chosen, stamp), name=APP, route_prefix=None)
    return handle, handle.about.remote().result(timeout_s=120)[1]


# ---------------------------------------------------------------- jobs


class JobTask:
    """A Ray task that works on a job."""

    def __init__(self, task: "ray.ObjectRef[None]") -> None:
        self._task = task

    @property
    def ended(self) -> bool:
        """Whether the job has ended on the cluster."""
        return bool(ray.wait([self._task], timeout=0)[0])

    def wait(self) -> None:
        """Return when it has ended."""
        ray.wait([self._task])

    def kill(self) -> None:
        """End it with all that it started."""
        ray.cancel(self._task, force=True)
        ray.wait([self._task], timeout=KILLED_WITHIN_S)

    def exit_description(self) -> str:
        """How the job ended on the cluster, as a sentence."""
        try:
            ray.get(self._task, timeout=0)
        except RayError as error:
            return f"The job's process {_how(error)}."
        return "The job's process ended by itself; the log of its machine says more."


def start_task(order: Order) -> JobTask:
    """Start a task that works on a job. How many run is up to the ``jobs`` setting and to the cluster's room."""
    spreads = request_type(analyses[order.analysis]).spreads
    room = {"num_cpus": 0, "num_gpus": 0} if spreads else _room(Settings.model_validate(order.settings))
    return JobTask(_job.options(**room).remote(order))


class RayJobLab(JobLab):
    """What an analysis may use that runs as a job, with a cluster to spread its work over."""

    def __init__(self, settings: Settings, networks: Networks, reporter: Reporter) -> None:
        super().__init__(settings, networks, reporter)
        if settings.device == "auto" and settings.ray_job_gpus:
            self.device = "cuda"  # the parts of the job have one, even where the job itself has none

    def map(
        self, fn: Step[T, S], items: Sequence[T], on_progress: Callable[[T, S], None], lost: Callable[[T, str], S]
    ) -> Iterator[S]:
        """Apply ``fn`` to every item in a task of its own. One whose machine goes away is begun once more."""
        step = _step.options(**_room(self.settings))
        begun = {step.remote(fn, item, self.settings.job_cpu_threads): (item, True) for item in items}
        try:
            while begun:
                ready, _ = ray.wait(list(begun), timeout=LOOK_EVERY_S)
                self.check()
                for task in ready:
                    item, first = begun[task]
                    try:
                        ended, result = ray.get(next(task))
                    except RayTaskError as error:
                        raise error.cause from None
                    except RayError as error:
                        del begun[task]
                        if first:
                            log.warning("A process that worked on a part of this job %s.", _how(error))
                            begun[step.remote(fn, item, self.settings.job_cpu_threads)] = item, False
                        else:
                            yield lost(item, f"The process that worked on this {_how(error)}, for the second time.")
                        continue
                    if ended:
                        del begun[task]
                        yield result
                    else:
                        on_progress(item, result)
        finally:
            for task in begun:
                ray.cancel(task, force=True)


@ray.remote(max_retries=0, max_calls=1)
def _job(order: Order) -> None:
    settings = Settings.model_validate(order.settings)
    logging.basicConfig(level=settings.log_level.upper(), format=f"%(levelname)s: job {order.job_id}: %(message)s")
    run_job(settings, order.job_id, Claim(order.job_id, order.claim), RayJobLab)


@ray.remote(max_retries=0, num_returns="streaming")
def _step(fn: Step[T, S], item: T, threads: int) -> Iterator[tuple[bool, S]]:
    yield from stream_results(fn, item, threads)


def _room(settings: Settings) -> dict[str, float]:
    """What a job, or a run of a study, needs of a machine."""
    return {"num_cpus": settings.ray_job_cpus, "num_gpus": settings.ray_job_gpus}


def _how(error: RayError) -> str:
    """How a process went away."""
    if isinstance(error, OutOfMemoryError):
        return "was killed, because its machine ran out of memory"
    if isinstance(error, NodeDiedError):
        return "is gone with its machine"
    return f"was killed or is gone with its machine ({type(error).__name__})"
