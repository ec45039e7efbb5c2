"""What it costs that an answer is kept before its id is told.

    python -m benchmarks.load.durability [VARIANTS] [--turns N] [--seconds S] [--clients N]

Two services answer the same comparisons in turns: one keeps every answer in its database and tells the ``Report-Id``
after the commit, the other keeps none. The first costs the CPU time of writing, and the wait for the commit.
"""

import argparse
import tempfile
from itertools import islice
from pathlib import Path

from benchmarks.load.crowd import ANSWERED, Crowd, comparison, quantile
from benchmarks.load.overload import Stretch, running
from benchmarks.load.service import CLIENTS, photos
from benchmarks.measure import line, paired_ratio


def cpu_ms(stretch: Stretch) -> float:
    """CPU time of the service for each answer, milliseconds."""
    return stretch.cpu_s * 1e3 / sum(answer.status == ANSWERED for answer in stretch.answers)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variants", nargs="?", default="none,se,eca")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=6.0)
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


if __name__ == "__main__":
    main()
