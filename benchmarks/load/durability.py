"""What it costs that an answer is kept before its id is told.

    python -m benchmarks.load.durability [VARIANTS] [--turns N] [--seconds S] [--clients N]

Two services answer the same comparisons in turns: one keeps every answer in its database and tells the ``Report-Id``
after the commit, the other keeps none. The first costs the CPU time of writing, and the wait for the commit. The
difference of two services is uncertain by some percent, so keeping is measured alone as well: as many tasks as there
are clients keep reports of the same size, and nothing else runs.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

from starlette.testclient import TestClient

from attention.reports.compare import CompareRequest
from benchmarks.load.crowd import ANSWERED, Crowd, comparison, quantile
from benchmarks.load.overload import Stretch, running
from benchmarks.load.service import CLIENTS, photos
from benchmarks.measure import line, paired_ratio
from server.app import create_app
from server.service import Service
from server.settings import Settings

APART_S, KEPT_EACH = 0.02, 30
"""Pause of a task between two reports that it keeps, and how many it keeps in a turn."""
UNLIKE_BYTES = 16
"""How much of the beginning of a stored report is random, so that no two reports are the same."""


def cpu_ms(stretch: Stretch) -> float:
    """CPU time of the service for each answer, milliseconds."""
    return stretch.cpu_s * 1e3 / sum(answer.status == ANSWERED for answer in stretch.answers)


def keeping_ms(variants: str, photo: bytes, clients: int, turns: int) -> list[float]:
    """CPU time in milliseconds that the service takes to store one answer and give its id, once a turn."""
    with (
        tempfile.TemporaryDirectory() as folder,
        TestClient(create_app(Settings(data=Path(folder), device="cpu"))) as http,
    ):
        service: Service = http.app.state.service  # type: ignore[attr-defined]
        report = http.post("/v1/compare", files={"image": ("x.jpg", photo)}, data={"variants": variants}).content
        question = CompareRequest.model_validate({"variants": variants.split(","), "images": ["x"]})

        async def turn(keep: bool) -> float:
            conditions = await service.conditions(question)

            async def task() -> None:
                for _ in range(KEPT_EACH):
                    unlike_others = os.urandom(UNLIKE_BYTES) + report[UNLIKE_BYTES:]
                    if keep:
                        assert (await service.keep(question, conditions, unlike_others)).id
                    await asyncio.sleep(APART_S)

            began = time.process_time()
            await asyncio.gather(*(task() for _ in range(clients)))
            return (time.process_time() - began) * 1e3 / KEPT_EACH / clients

        asyncio.run(turn(True))
        return [asyncio.run(turn(True)) - asyncio.run(turn(False)) for _ in range(turns)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variants", nargs="?", default="none,se,eca")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    chosen = parser.parse_args()
    some = list(islice(photos(), 16))
    with (
        tempfile.TemporaryDirectory() as first,
        tempfile.TemporaryDirectory() as second,
        running(Path(first), remember_answers=False) as kept,
        running(Path(second), remember_answers=False, reports_kept=0) as unkept,
    ):
        services = {"kept": kept, "not kept": unkept}
        crowds = {
            name: Crowd("127.0.0.1", service.port, comparison(some, chosen.variants))
            for name, service in services.items()
        }
        seen: dict[str, list[Stretch]] = {name: [] for name in services}
        for name, service in services.items():
            service.load(crowds[name], chosen.clients, 3.0)
        for turn in range(chosen.turns):
            for name in services if turn % 2 else reversed(services):
                seen[name].append(services[name].load(crowds[name], chosen.clients, chosen.seconds))
    ids = [sum("report-id" in answer.headers for one in seen[name] for answer in one.answers) for name in seen]
    print(f"{chosen.variants}, {chosen.clients} clients; answers with an id: {ids[0]} and {ids[1]}")
    for name, stretches in seen.items():
        print(line(f"CPU time of an answer, {name}", [cpu_ms(one) for one in stretches]))
        print(line(f"p50, {name}", [quantile(one.settled, 0.5) * 1e3 for one in stretches], "ms"))
    pair = seen["kept"], seen["not kept"]
    print(paired_ratio("CPU time, kept / not kept", *([cpu_ms(one) for one in stretches] for stretches in pair)))
    waits = ([quantile(one.settled, 0.5) for one in stretches] for stretches in pair)
    print(paired_ratio("p50, kept / not kept", *waits))
    alone = keeping_ms(chosen.variants, some[0], chosen.clients, chosen.turns)
    print(line("CPU time of keeping an answer, alone", alone))
    share = statistics.median(alone) / statistics.median(cpu_ms(one) for one in seen["not kept"])
    print(f"keeping, alone / an answer that is not kept   {share:.4f}")


if __name__ == "__main__":
    main()
