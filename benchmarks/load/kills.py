"""Whether what a service promised is there after it was killed in the middle of load, again and again.

    python -m benchmarks.load.kills [--rounds N] [--seed N]

In each round ``python -m server`` is started on the same data folder and clients upload photos and data sets, ask
questions whose answers have a ``Report-Id``, and queue jobs, until the process is killed (kill -9) at a random moment.
A promise is what an answer with a status below 300 said. After the last kill the service is started once more, and
every photo, data set and report has to be there with its bytes, and every job that was accepted has to end as done.
"""

import argparse
import hashlib
import io
import json
import random
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from PIL import Image

from benchmarks.load.overload import running

MOST_UNTIL_THE_KILL_S = 3.0
"""A kill comes at a random moment of this stretch of load."""

JOBS_OF_A_ROUND = 1
DATA_SETS_OF_A_ROUND = 6
SETTINGS = {"threads": 1, "device": "cpu"}


@dataclass
class Promises:
    """What answers said would be kept."""

    photos: dict[str, bytes] = field(default_factory=dict)
    data_sets: set[str] = field(default_factory=set)
    reports: dict[str, str] = field(default_factory=dict)
    """Ids of reports, each with the SHA-256 of its JSON."""
    jobs: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.photos) + len(self.data_sets) + len(self.reports) + len(self.jobs)


def load(address: str, promises: Promises, number: int, killed: Callable[[], bool]) -> list[Callable[[], None]]:
    """What the clients of one round do, each until the service is gone; no two rounds send the same."""

    def photo(client: httpx2.Client, step: int) -> None:
        data = _photo(number * 10_000 + step)
        answer = client.post("/v1/images", content=data, headers={"Content-Type": "image/png"})
        if answer.is_success:
            promises.photos[answer.json()["id"]] = data

    def report(client: httpx2.Client, step: int) -> None:
        answer = client.post("/v1/cost", json={"variants": [f"resnet20/se?seed={number * 10_000 + step}"]})
        if answer.is_success and (name := answer.headers.get("Report-Id")):
            promises.reports[name] = _digest(answer.json())

    def data_set(client: httpx2.Client, step: int) -> None:
        if step < DATA_SETS_OF_A_ROUND:
            name = f"kill-{number}-{step}"
            answer = client.post("/v1/datasets", params={"name": name}, content=_zip(number * 100 + step))
            if answer.is_success:
                promises.data_sets.add(answer.json()["name"])

    def job(client: httpx2.Client, step: int) -> None:
        if step < JOBS_OF_A_ROUND:
            request = {"variants": [f"resnet20/se?seed={number * 100 + step}"]}
            answer = client.post("/v1/jobs", json={"analysis": "cost", "request": request})
            if answer.is_success:
                promises.jobs.add(answer.json()["id"])

    def client_of(ask: Callable[[httpx2.Client, int], None]) -> Callable[[], None]:
        def repeat() -> None:
            with httpx2.Client(base_url=address, timeout=120) as client:
                step = 0
                while not killed():
                    with suppress(httpx2.HTTPError):  # the service is gone, or about to be
                        ask(client, step)
                    step += 1
                    time.sleep(0.01)

        return repeat

    return [client_of(ask) for ask in (photo, report, data_set, job)]


def kill_in_the_middle(data: Path, promises: Promises, number: int, chance: random.Random) -> None:
    """One round: a service under load that is killed at a random moment after its first promise."""
    with running(data, **SETTINGS) as service, ThreadPoolExecutor(4) as pool:
        before, process = promises.count, service.process
        asking = load(service.url, promises, number, lambda: process.poll() is not None)
        clients = [pool.submit(work) for work in asking]
        try:
            while promises.count == before:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, MOST_UNTIL_THE_KILL_S))
        finally:
            process.kill()
            process.wait()
        wait(clients)
        for client in clients:
            client.result()


def lost(data: Path, promises: Promises) -> list[str]:
    """What was promised and is not there, in words; jobs are waited for until they have ended."""
    with running(data, **SETTINGS) as service, httpx2.Client(base_url=service.url, timeout=120) as client:
        missing = [
            f"photo {name}"
            for name, content in promises.photos.items()
            if client.get(f"/v1/images/{name}/file").content != content
        ]
        missing += [
            f"data set {name}" for name in promises.data_sets if not client.get(f"/v1/datasets/{name}").is_success
        ]
        for name, digest in promises.reports.items():
            answer = client.get(f"/v1/reports/{name}")
            if not answer.is_success or _digest(answer.json()["report"]) != digest:
                missing.append(f"report {name}")
        for name in promises.jobs:
            while (job := client.get(f"/v1/jobs/{name}").json()).get("state") in ("queued", "running"):
                time.sleep(0.1)
            if job.get("state") != "done" or not client.get(f"/v1/reports/{name}").is_success:
                missing.append(f"job {name}: {job.get('state')} {job.get('error')}")
        return missing


def _photo(seed: int) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", (16, 16), random.Random(seed).randbytes(768)).save(out, "PNG")
    return out.getvalue()


def _zip(seed: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(4):
            archive.writestr(f"{'cat' if number % 2 else 'dog'}/{number}.png", _photo(seed * 10 + number))
    return out.getvalue()


def _digest(report: object) -> str:
    return hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest()


def main() -> int:
    """Kill, and say what was lost; 1 if anything was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="how often the service is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments at which it is")
    chosen = parser.parse_args()
    chance, promises = random.Random(chosen.seed), Promises()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.rounds):
            kill_in_the_middle(Path(folder), promises, number, chance)
            print(f"kill {number + 1}: {promises.count:,} promises so far", flush=True)
        missing = lost(Path(folder), promises)
    kinds = (promises.photos, promises.data_sets, promises.reports, promises.jobs)
    photos, data_sets, reports, jobs = map(len, kinds)
    print(
        f"{chosen.rounds} kills: {photos:,} photos, {data_sets} data sets, {reports:,} reports and {jobs} jobs "
        f"promised, {len(missing)} lost"
    )
    print("\n".join(missing))
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
