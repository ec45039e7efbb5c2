"""What a service answers that is asked by ten times as many clients as it has room for.

    python -m benchmarks.load.overload [VARIANTS] [--turns N] [--seconds S] [--workers N] [--queue N] [--impolite]

The service is ``python -m server`` in a process of its own, with room for ``workers + queue`` questions. Clients send a
photo each to ``POST /v1/compare``, no two alike, read the answer and ask again. In each turn there are first as many
clients as there is room for, which gives what the service can do; then ten times as many. Who is refused comes back
when Retry-After says; ``--impolite`` clients try again after 0.2 s, whatever it says. Answers are not remembered, so
that memory shows what the load takes and not what is kept.

The clients share the machine with the service, so they take some of what it would have had.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.load.crowd import ANSWERED, REFUSED, Answer, Crowd, comparison, quantile
from benchmarks.load.service import photos
from benchmarks.measure import line

WARM_UP = 0.3
"""Share of the answers that quantiles leave out: the first clients found an empty queue."""


class Stretch(NamedTuple):
    """Some seconds of load: what became of requests, and how long it took until the last had an answer."""

    answers: Sequence[Answer]
    seconds: float
    cpu_s: float

    @property
    def answered_per_s(self) -> float:
        """Answers a second."""
        return sum(one.status == ANSWERED for one in self.answers) / self.seconds

    @property
    def refused(self) -> float:
        """The share that was refused."""
        return sum(one.status == REFUSED for one in self.answers) / len(self.answers)

    @property
    def settled(self) -> list[float]:
        """Seconds that each answer took which was asked for after the warm-up."""
        return [one.seconds for one in self._settled]

    @property
    def _settled(self) -> list[Answer]:
        answered = sorted((one for one in self.answers if one.status == ANSWERED), key=lambda one: one.began)
        return answered[round(WARM_UP * len(answered)) :]

    @property
    def spread(self) -> float:
        """p99 / p50."""
        return quantile(self.settled, 0.99) / quantile(self.settled, 0.5)

    @property
    def overtakers(self) -> list[int]:
        """For each answer, how many others were given during its wait: that wait by a clock that no stall moves."""
        given = sorted(one.began + one.seconds for one in self.answers if one.status == ANSWERED)
        return [bisect(given, one.began + one.seconds) - bisect(given, one.began) for one in self._settled]


class Service:
    """A service that runs."""

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process = process
        self.port = port

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def load(self, crowd: Crowd, clients: int, seconds: float, enough: int = 0) -> Stretch:
        """Let so many clients ask for so long, and until so many were answered."""
        began, cpu = time.perf_counter(), self.cpu_s
        answers = crowd.ask(clients, seconds, enough)
        return Stretch(answers, time.perf_counter() - began, self.cpu_s - cpu)

    @property
    def rss_mb(self) -> float:
        """Memory that it has now, megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024

    @property
    def cpu_s(self) -> float:
        """CPU time that it has used so far, seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(data: Path, **settings: object) -> Iterator[Service]:
    """A service that runs inside."""
    own = {"ATTENTION_DATA": str(data), "ATTENTION_PORT": "0", "ATTENTION_LOG_LEVEL": "error"}
    own |= {f"ATTENTION_{name.upper()}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "server"], env={**os.environ, **own}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Service(process, int(re.findall(r":(\d+)\s*$", process.stdout.readline())[0]))
    finally:
        process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variants", nargs="?", default="resnet20/none,resnet20/se,resnet20/eca,resnet20/cbam")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--queue", type=int, default=12)
    parser.add_argument("--times", type=int, default=10, help="times as many clients as there is room for")
    parser.add_argument("--impolite", action="store_true", help="clients do not mind Retry-After")
    chosen = parser.parse_args()
    room, some = chosen.workers + chosen.queue, list(islice(photos(), 16))
    many: list[Stretch] = []
    enough: list[Stretch] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder), workers=chosen.workers, max_queue=chosen.queue, remember_answers=False) as service,
    ):
        crowd = Crowd("127.0.0.1", service.port, comparison(some, chosen.variants), polite=not chosen.impolite)
        lone = [service.load(crowd, 1, 3.0)]
        service.load(crowd, room, chosen.seconds)
        before = service.rss_mb
        for _ in range(chosen.turns):
            enough.append(service.load(crowd, room, chosen.seconds))
            many.append(service.load(crowd, chosen.times * room, chosen.seconds))
        after = service.rss_mb
        time.sleep(1.0)
        lone.append(service.load(crowd, 1, 3.0))
    manners = "do not mind Retry-After" if chosen.impolite else "mind Retry-After"
    print(
        f"{chosen.variants}, room for {room}, {chosen.times * room} clients that {manners}, {chosen.seconds:g} s a turn"
    )
    print(f"what became of all requests: {dict(Counter(one.status for each in many for one in each.answers))}")
    print(line("capacity", [one.answered_per_s for one in enough], "answers a second"))
    print(line("answered", [one.answered_per_s for one in many], "answers a second"))
    goodput = [one.answered_per_s / other.answered_per_s for one, other in zip(many, enough, strict=True)]
    print(line("answered / capacity", goodput, "ratio"))
    print(line("refused", [one.refused for one in many], "of all requests"))
    for name, stretches in (("capacity", enough), ("overload", many)):
        count = min(len(one.settled) for one in stretches)
        print(line(f"p50, {name}", [quantile(one.settled, 0.5) for one in stretches], "s"))
        print(line(f"p99, {name}", [quantile(one.settled, 0.99) for one in stretches], "s"))
        print(line(f"p99 / p50, {name}", [one.spread for one in stretches], f"ratio of {count} answers or more"))
    refusals = [[answer.seconds for answer in one.answers if answer.status == REFUSED] for one in many]
    print(line("a refusal, p50", [quantile(one, 0.5) * 1e3 for one in refusals if one], "ms"))
    cpu = [one.cpu_s / one.seconds for one in many]
    print(line("cores that the service had", cpu, "cores"))
    print(f"memory before {before:.0f} MB, after {after:.0f} MB")
    alone = [quantile([one.seconds for one in each.answers], 0.5) * 1e3 for each in lone]
    print(f"one client alone, p50: before {alone[0]:.1f} ms, after {alone[1]:.1f} ms")


if __name__ == "__main__":
    main()
