"""What Ray costs: CPU time of a request beside the local engine's, and a study's makespan on one and two workers.

    python -m benchmarks.ray_overhead [requests | study] [--turns N]

A Ray is started on this machine and stopped again. Requests: 16 at once, one photo of 224 pixels through one network
each, asked of both engines in turns without HTTP in between. The CPU time of this process, of the replica and of all
of Ray's own processes counts; what Ray uses while nothing happens is measured before and taken off, and told. Study:
four runs of two networks on a small data set, a thread each, with room for one run at a time and for two.
"""

import argparse
import asyncio
import hashlib
import itertools
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from attention.analyses import run
from attention.reports.compare import CompareRequest
from attention.reports.study import StudyRequest
from attention.spec import Plain, Recipe, Variant
from benchmarks.measure import line, paired_ratio
from benchmarks.service import photos
from server.engines import make_engine
from server.process import prepare_process
from server.settings import Settings

AT_ONCE = 16
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def nodes(*cpus: int) -> Iterator[str]:
    """The address of a Ray whose nodes have so many cores, that is here as long as it is used."""
    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")
    os.environ |= {"RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"}
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=cpus[0], temp_dir=f"{folder}/ray", include_dashboard=False)
        for more in cpus[1:]:
            cluster.add_node(num_cpus=more)
        ray.init(address=cluster.address, namespace="attention", log_to_driver=False, configure_logging=False)
        yield cluster.address
    finally:
        serve.shutdown()
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def family() -> list[int]:
    """This process and all that it started, however deep."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found, new = [], [os.getpid()]
    while new:
        found += new
        new = [child for parent in new for child in children.get(parent, [])]
    return found


def cpu_seconds() -> float:
    """User and system time of the family so far."""
    total = 0
    for process in family():
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def requests(turns: int) -> None:
    """CPU time and latency of a request on both engines."""
    with tempfile.TemporaryDirectory() as folder, nodes(1, 1) as address:
        settings = Settings(data=Path(folder), device="cpu", threads=1, jobs=0)
        on_ray = {"engine": "ray", "ray_address": address, "ray_replicas_max": 1, "ray_replica_cpus": 1.0}
        engines: dict[str, Any] = {
            "local": make_engine(settings),
            "ray": make_engine(settings.model_copy(update=on_ray)),
        }
        supply = photos()
        cost: dict[str, list[float]] = {name: [] for name in engines}
        lone: dict[str, list[float]] = {name: [] for name in engines}
        try:
            for engine in engines.values():
                for _ in range(3):
                    ask(engine, list(itertools.islice(supply, AT_ONCE)))  # warms up
            before, started = cpu_seconds(), time.monotonic()
            time.sleep(5.0)
            idle = (cpu_seconds() - before) / (time.monotonic() - started)
            for _ in range(turns):
                for name, engine in engines.items():
                    some = [list(itertools.islice(supply, AT_ONCE)) for _ in range(4)]
                    before, started = cpu_seconds(), time.monotonic()
                    for together in some:
                        ask(engine, together)
                    passed = time.monotonic() - started
                    cost[name].append((cpu_seconds() - before - idle * passed) / (4 * AT_ONCE) * 1e3)
                    started = time.monotonic()
                    ask(engine, [next(supply)])
                    lone[name].append((time.monotonic() - started) * 1e3)
        finally:
            for engine in engines.values():
                engine.close()
    print(f"Ray while nothing happens: {idle:.2f} cores")
    for name in engines:
        print(line(f"{name}, {AT_ONCE} at once", cost[name], "ms CPU a request"))
    print(paired_ratio("ray / local", cost["ray"], cost["local"]))
    for name in engines:
        print(line(f"{name}, alone", lone[name], "ms wall clock"))


def ask(engine: Any, some: Sequence[bytes]) -> None:
    """Ask an engine about some photos at once."""

    async def all_of_them() -> None:
        asked = []
        for data in some:
            name = hashlib.sha256(data).hexdigest()
            request = CompareRequest(images=(name,), variants=(Variant.parse("resnet20/eca"),))
            asked.append(engine.answer(request, {name: data}))
        await asyncio.gather(*asked)

    asyncio.run(all_of_them())


class Silent:
    """Nobody watches."""

    def check(self) -> None:
        """Go on."""

    def tell(self, done: int, total: int, note: str, partial: Plain | None) -> None:
        """Said to nobody."""


def study(turns: int) -> None:
    """Wall clock of the same study with room for one run at a time, and for two."""
    from server.cluster.ray import RayJobLab
    from server.jobs.lab import job_lab

    taken: dict[str, list[float]] = {"two at a time": [], "one at a time": []}
    with tempfile.TemporaryDirectory() as folder, nodes(2) as address:
        for turn in range(turns + 1):  # the first starts the workers
            for name, cpus in (("two at a time", 1.0), ("one at a time", 2.0)):
                root = Path(folder) / f"{name} {turn}".replace(" ", "-")
                write_data(root)
                settings = Settings(
                    data=root, device="cpu", engine="ray", ray_address=address, ray_job_cpus=cpus, job_threads=1
                )
                with job_lab(settings, Silent(), RayJobLab) as lab:  # type: ignore[arg-type]
                    started = time.monotonic()
                    report = run(asked(), lab)
                assert report.complete, report.caveats
                if turn:
                    taken[name].append(time.monotonic() - started)
    for name, seconds in taken.items():
        print(line(name, seconds, "s"))
    print(paired_ratio("one / two at a time", taken["one at a time"], taken["two at a time"]))


def asked() -> StudyRequest:
    """Four runs of some seconds each."""
    arms = tuple(Variant.parse(f"resnet20/{module}") for module in ("none", "eca"))
    return StudyRequest(data="noise", variants=arms, seeds=2, recipe=Recipe(epochs=6, batch_size=64))


def write_data(root: Path) -> None:
    """512 images of noise in two classes, 32 pixels wide."""
    chance = np.random.default_rng(0)
    for split, count in (("train", 192), ("test", 64)):
        for label in ("one", "other"):
            place = root / "datasets" / "noise" / split / label
            place.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(chance.integers(0, 256, (32, 32, 3)).astype(np.uint8)).save(place / f"{number}.png")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("requests", "study"), default="requests")
    parser.add_argument("--turns", type=int, default=7)
    chosen = parser.parse_args()
    prepare_process(Settings(threads=1))
    (requests if chosen.what == "requests" else study)(chosen.turns)


if __name__ == "__main__":
    main()
