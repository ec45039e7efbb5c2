"""A simulation of the service on many machines: arrivals, routing, micro-batches, autoscaling; no network is run.

    python -m benchmarks.simulate                                  the table of docs/scale.md
    python -m benchmarks.simulate --trace service.log              arrivals as a service's own JSON log recorded them

It follows the rules of the code it stands for. A replica's thread takes the key whose oldest image waits longest, and
up to ``max_batch`` of its images, at once when it is idle (server/engine/batching.py). An image goes to the less busy
of two replicas, drawn from those that have its network in memory, or, when those are full, from those that have the
fewest (Ray Serve). The wanted number of replicas is the number of images under way, averaged over a while, over the
target; it is followed once it has been wanted for a delay, and a new replica takes a while to start. A batch of b
images takes ``fixed_s + b * each_s`` seconds; a network that is not in memory takes ``load_s`` more. All times are
seconds.
"""

import argparse
import heapq
import json
import math
import random
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Machine:
    """One replica: how long a batch takes, and what the settings of the service say."""

    fixed_s: float
    each_s: float
    max_batch: int = 16
    max_ongoing: int = 32
    """Images that a replica is given at the same time; the others wait in front of all."""
    kept: int = 8
    load_s: float = 0.0

    def batch_s(self, size: int) -> float:
        """How long a batch takes."""
        return self.fixed_s + size * self.each_s

    @property
    def most(self) -> float:
        """Images a second of one replica whose batches are full."""
        return self.max_batch / self.batch_s(self.max_batch)


@dataclass(frozen=True)
class Scaling:
    """How many replicas there are; the delays are Ray Serve's own defaults."""

    least: int = 1
    most: int = 1
    target: float = 16.0
    """Images under way at a replica that are aimed for."""
    every_s: float = 0.1
    look_back_s: float = 30.0
    up_after_s: float = 30.0
    down_after_s: float = 600.0
    start_s: float = 20.0


@dataclass
class Result:
    """What came of it."""

    arrived: int
    refused: int = 0
    latency_s: list[float] = field(default_factory=list)
    """Of each image that was answered, from its arrival, in the order of the answers."""
    batches: list[int] = field(default_factory=list)
    busy_s: float = 0.0
    loads: int = 0
    replicas: list[tuple[float, int]] = field(default_factory=list)
    """When the number of replicas changed, and to what."""
    under_way_s: float = 0.0
    """The integral of images in the system over time."""
    replica_s: float = 0.0
    ends_s: float = 0.0

    def quantile(self, share: float) -> float:
        """The latency that so large a share of answers stays below."""
        return float(np.quantile(self.latency_s, share)) if self.latency_s else math.nan


class _Replica:
    def __init__(self, number: int) -> None:
        self.number = number
        self.queues: dict[int, deque[float]] = {}
        self.ongoing = 0
        self.working: list[float] = []
        self.kept: OrderedDict[int, None] = OrderedDict()
        self.leaving = False


class Simulation:
    """Runs arrivals through replicas.

    Args:
        arrivals: when images arrive, ascending.
        keys: which network each asks for; None is one network that every replica has from the start.
        max_waiting: images that may wait in front of all replicas; more are refused.
        since_s: images that came before this moment are not in the latencies, for they found cold machines.
    """

    def __init__(
        self,
        arrivals: Times,
        machine: Machine,
        scaling: Scaling | None = None,
        keys: Sequence[int] | None = None,
        max_waiting: int = 256,
        since_s: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._arrivals, self._machine = arrivals, machine
        self._scaling = scaling or Scaling()
        self._keys = keys
        self._max_waiting = max_waiting
        self._since_s = since_s
        self._random = random.Random(seed)
        self._front: deque[tuple[float, int]] = deque()
        self._replicas: dict[int, _Replica] = {}
        self._holders: dict[int, set[int]] = {}
        self._events: list[tuple[float, int, str, int]] = []
        self._count = self._starting = self._in_system = 0
        self._now = 0.0
        self._seen: deque[tuple[float, int]] = deque()
        self._seen_sum = 0
        self._wanted_since: tuple[int, float] = (0, 0.0)  # which way, since when
        self.result = Result(len(arrivals))

    def run(self) -> Result:
        """All of it, until the last image is answered."""
        for _ in range(self._scaling.least):
            self._begin()
        if self._scaling.most > self._scaling.least:
            self._later(self._scaling.every_s, "look")
        place, count = 0, len(self._arrivals)
        while place < count or self._in_system:
            if place < count and (not self._events or self._arrivals[place] <= self._events[0][0]):
                self._to(float(self._arrivals[place]))
                self._arrive(self._keys[place] if self._keys is not None else 0)
                place += 1
            else:
                moment, _, what, number = heapq.heappop(self._events)
                self._to(moment)
                getattr(self, f"_{what}")(number)
        self.result.ends_s = self._now
        return self.result

    def _to(self, moment: float) -> None:
        passed = moment - self._now
        self.result.under_way_s += passed * self._in_system
        self.result.replica_s += passed * (len(self._replicas) + self._starting)
        self._now = moment

    def _later(self, seconds: float, what: str, number: int = 0) -> None:
        self._count += 1
        heapq.heappush(self._events, (self._now + seconds, self._count, what, number))

    # ---------------------------------------------------------------- images

    def _arrive(self, key: int) -> None:
        replica = self._choose(key) if not self._front else None
        if replica is None and len(self._front) >= self._max_waiting:
            self.result.refused += self._now >= self._since_s
            return
        self._in_system += 1
        if replica is None:
            self._front.append((self._now, key))
        else:
            self._give(replica, self._now, key)

    def _choose(self, key: int) -> _Replica | None:
        """The less busy of two that have the network, or else of two with the fewest networks; None if all are full."""
        if self._keys is None:
            return self._less_busy(list(self._replicas.values()))
        holders = [self._replicas[number] for number in self._holders.get(key, ())]
        if found := self._less_busy(holders):
            return found
        able = [one for one in self._replicas.values() if one.ongoing < self._machine.max_ongoing]
        fewest = min((len(one.kept) for one in able), default=0)
        return self._less_busy([one for one in able if len(one.kept) == fewest])

    def _less_busy(self, some: Sequence[_Replica]) -> _Replica | None:
        most = self._machine.max_ongoing
        if len(some) > 8:  # most have room as a rule: draw two, and look at all only if neither has
            one, other = self._random.sample(some, 2)
            best = one if one.ongoing <= other.ongoing else other
            if best.ongoing < most and not best.leaving:
                return best
        able = [one for one in some if one.ongoing < most and not one.leaving]
        if not able:
            return None
        return min(self._random.sample(able, min(2, len(able))), key=lambda one: one.ongoing)

    def _give(self, replica: _Replica, arrived: float, key: int) -> None:
        replica.ongoing += 1
        replica.queues.setdefault(key, deque()).append(arrived)
        if not replica.working:
            self._work(replica)

    def _work(self, replica: _Replica) -> None:
        if not replica.queues:
            return
        key = min(replica.queues, key=lambda one: replica.queues[one][0])
        queue = replica.queues[key]
        replica.working = [queue.popleft() for _ in range(min(len(queue), self._machine.max_batch))]
        if not queue:
            del replica.queues[key]
        seconds = self._machine.batch_s(len(replica.working))
        if self._keys is None:
            pass
        elif key in replica.kept:
            replica.kept.move_to_end(key)
        else:
            seconds += self._machine.load_s
            self.result.loads += 1
            replica.kept[key] = None
            self._holders.setdefault(key, set()).add(replica.number)
            if len(replica.kept) > self._machine.kept:
                gone, _ = replica.kept.popitem(last=False)
                self._holders[gone].discard(replica.number)
        self.result.busy_s += seconds
        self.result.batches.append(len(replica.working))
        self._later(seconds, "done", replica.number)

    def _done(self, number: int) -> None:
        replica = self._replicas[number]
        self.result.latency_s += [self._now - arrived for arrived in replica.working if arrived >= self._since_s]
        self._in_system -= len(replica.working)
        replica.ongoing -= len(replica.working)
        replica.working = []
        self._work(replica)
        if replica.leaving and not replica.ongoing:
            self._gone(replica)
        self._drain()

    def _drain(self) -> None:
        while self._front:
            replica = self._choose(self._front[0][1])
            if replica is None:
                return
            self._give(replica, *self._front.popleft())

    # ---------------------------------------------------------------- replicas

    def _begin(self, number: int = 0) -> None:
        self._count += 1
        self._starting = max(0, self._starting - 1)
        self._replicas[self._count] = _Replica(self._count)
        self._tell()
        self._drain()

    def _gone(self, replica: _Replica) -> None:
        for key in replica.kept:
            self._holders[key].discard(replica.number)
        del self._replicas[replica.number]

    def _tell(self) -> None:
        self.result.replicas.append((self._now, sum(not one.leaving for one in self._replicas.values())))

    def _look(self, number: int) -> None:
        """One turn of the autoscaler."""
        scaling = self._scaling
        self._seen.append((self._now, self._in_system))
        self._seen_sum += self._in_system
        while self._seen[0][0] < self._now - scaling.look_back_s:
            self._seen_sum -= self._seen.popleft()[1]
        there = sum(not one.leaving for one in self._replicas.values()) + self._starting
        wanted = math.ceil(self._seen_sum / len(self._seen) / scaling.target - 1e-9)
        wanted = min(max(wanted, scaling.least), scaling.most)
        way = (wanted > there) - (wanted < there)
        if way != self._wanted_since[0]:
            self._wanted_since = way, self._now
        waited = self._now - self._wanted_since[1] + 1e-9
        if way > 0 and waited >= scaling.up_after_s:
            for _ in range(wanted - there):
                self._starting += 1
                self._later(scaling.start_s, "begin")
            self._wanted_since = 0, self._now
        elif way < 0 and waited >= scaling.down_after_s and not self._starting:
            staying = [one for one in self._replicas.values() if not one.leaving]
            for replica in sorted(staying, key=lambda one: one.ongoing)[: there - wanted]:
                replica.leaving = True
                if not replica.ongoing:
                    self._gone(replica)
            self._tell()
            self._wanted_since = 0, self._now
        if self._in_system or self._now < self._arrivals[-1]:
            self._later(scaling.every_s, "look")


# ---------------------------------------------------------------- arrivals


def poisson(rate: float, seconds: float, seed: int = 0) -> Times:
    """Arrivals independent of each other, ``rate`` a second."""
    chance = np.random.default_rng(seed)
    return np.sort(chance.uniform(0.0, seconds, chance.poisson(rate * seconds)))


def bursts(rate: float, seconds: float, factor: float, share: float, length: float, seed: int = 0) -> Times:
    """Arrivals whose rate is ``factor`` times the quiet one during bursts, and ``rate`` on the average.

    Args:
        share: of the time that is burst.
        length: mean seconds of a burst; bursts and pauses are exponential (a Markov-modulated Poisson process).
    """
    chance = np.random.default_rng(seed)
    quiet = rate / (1 - share + share * factor)
    found, now, busy = [], 0.0, False
    while now < seconds:
        lasts = min(chance.exponential(length if busy else length * (1 - share) / share), seconds - now)
        count = chance.poisson(lasts * quiet * (factor if busy else 1))
        found.append(chance.uniform(now, now + lasts, count))
        now, busy = now + lasts, not busy
    return np.sort(np.concatenate(found))


def recorded(path: Path) -> Times:
    """When the requests came that a service has logged: its JSON log with ATTENTION_LOG_REQUESTS=all; from 0.

    Raises:
        SystemExit: there is none in it.
    """
    found = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("{") and (said := json.loads(line)).get("path", "").startswith("/v1/"):
            took = float(said.get("seconds", said.get("duration_s", 0.0)))
            found.append(datetime.fromisoformat(said["time"]).timestamp() - took)
    if not found:
        raise SystemExit(f"There is no request in {path}. Record with ATTENTION_LOG_FORMAT=json, LOG_REQUESTS=all.")
    times = np.sort(np.array(found))
    return times - times[0]


def popular(count: int, networks: int, skew: float = 1.0, seed: int = 0) -> list[int]:
    """Which network each of ``count`` images asks for: the k-th most popular as often as 1 / k ** skew (Zipf)."""
    weights = 1.0 / np.arange(1, networks + 1) ** skew
    chosen: list[int] = np.random.default_rng(seed).choice(networks, count, p=weights / weights.sum()).tolist()
    return chosen


# ---------------------------------------------------------------- the table

GPU = Machine(fixed_s=0.006, each_s=0.00045)
"""ResNet-50 on one GPU, run eagerly in half precision: an assumption, not a measurement; docs/scale.md says why."""

GPUS, RATE, SECONDS = 100, 30_000.0, 6.0


def _line(name: str, simulation: Simulation) -> str:
    result = simulation.run()
    counted = result.refused + len(result.latency_s)
    busy = 100 * result.busy_s / result.replica_s
    numbers = [np.mean(result.batches), busy, *(1e3 * result.quantile(share) for share in (0.5, 0.99))]
    return f"| {name} | {' | '.join(f'{number:.1f}' for number in numbers)} | {100 * result.refused / counted:.2f} |"


HEAD = (
    "| arrivals and settings | images a batch | busy, % | p50, ms | p99, ms | refused, % |\n|---|---|---|---|---|---|"
)


def _table() -> None:
    """What 100 GPUs make of 30,000 images a second; then a tenth of both, for what takes longer to show."""
    print(HEAD)
    whole, steady = Scaling(GPUS, GPUS), poisson(RATE, SECONDS)
    rush = bursts(RATE, SECONDS, factor=3, share=0.1, length=0.5, seed=2)
    wide = replace(GPU, max_batch=64, max_ongoing=128)
    for name, arrivals, machine in (
        ("100 GPUs, 30,000 a second, Poisson", steady, GPU),
        ("the same, one image at a time", steady, replace(GPU, max_batch=1)),
        ("the same, in bursts of three times the rate, half a second long", rush, GPU),
        ("the same bursts, batches of 64 at most", rush, wide),
    ):
        print(_line(name, Simulation(arrivals, machine, whole, max_waiting=12_800)), flush=True)
    tenth = poisson(RATE / 10, 40.0, seed=1)
    keys = popular(len(tenth), 64)
    for name, machine in (
        ("10 GPUs, 3,000 a second, 64 networks by Zipf, all in memory", replace(GPU, kept=64)),
        ("the same, loaded when first asked for (20 s earlier)", replace(GPU, kept=64, load_s=0.3)),
        ("the same, 256 requests at a replica", replace(GPU, kept=64, load_s=0.3, max_ongoing=256)),
        ("the same, 8 networks kept by each", replace(GPU, load_s=0.3)),
    ):
        simulation = Simulation(tenth, machine, Scaling(10, 10), keys, max_waiting=1_280, since_s=20.0)
        print(_line(name, simulation), flush=True)
    jump = np.concatenate([poisson(300.0, 60.0, seed=4), 60.0 + poisson(3_000.0, 90.0, seed=5)])
    for name, scaling in (
        ("300 a second, then 3,000; 2 to 10 GPUs, followed after Serve's 30 s", Scaling(2, 10)),
        ("the same, followed after 5 s", Scaling(2, 10, up_after_s=5.0, look_back_s=5.0)),
        ("the same, 10 GPUs from the start", Scaling(10, 10)),
    ):
        print(_line(name, Simulation(jump, GPU, scaling, max_waiting=1_280)), flush=True)


def main() -> None:
    """Print the table, or what a recorded log comes to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trace", type=Path, help="a service's JSON log")
    parser.add_argument("--times", type=float, default=1.0, help="so many times as fast as it was recorded")
    parser.add_argument("--replicas", type=int, nargs=2, default=(1, 4), metavar=("LEAST", "MOST"))
    parser.add_argument("--fixed-ms", type=float, default=1e3 * GPU.fixed_s, help="of a batch, whatever its size")
    parser.add_argument("--each-ms", type=float, default=1e3 * GPU.each_s, help="of each image in it")
    chosen = parser.parse_args()
    if chosen.trace is None:
        _table()
        return
    arrivals = recorded(chosen.trace) / chosen.times
    machine = Machine(chosen.fixed_ms / 1e3, chosen.each_ms / 1e3)
    print(HEAD)
    print(_line(chosen.trace.name, Simulation(arrivals, machine, Scaling(*chosen.replicas))))


if __name__ == "__main__":
    main()
