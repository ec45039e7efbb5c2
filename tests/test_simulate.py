"""The simulation gives what queueing theory gives, where theory has an answer."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulate import Machine, Scaling, Simulation, bursts, poisson, popular, recorded

ALONE = Machine(fixed_s=0.0, each_s=0.1, max_batch=1, max_ongoing=10**9)
"""One image at a time, a tenth of a second each: M/D/1 when arrivals are Poisson."""


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_without_batches_the_wait_is_that_of_an_m_d_1_queue(load: float) -> None:
    """Pollaczek-Khinchine: the mean wait is load * service / (2 (1 - load))."""
    result = Simulation(poisson(load / 0.1, 20_000), ALONE).run()
    waited = np.mean(result.latency_s) - 0.1
    assert waited == pytest.approx(load * 0.1 / (2 * (1 - load)), rel=0.06)


def test_regular_arrivals_below_capacity_never_wait() -> None:
    result = Simulation(np.arange(0.0, 11.0, 0.11), ALONE).run()
    assert result.latency_s == pytest.approx([0.1] * 100)


def test_batches_that_cost_the_same_whatever_their_size_follow_their_markov_chain() -> None:
    """A batch takes what came during the one before, Poisson(rate * s); if nothing came, the next one to come alone.

    So the mean batch is m + exp(-m) with m = rate * s.
    """
    for m in (0.5, 2.0, 6.0):
        machine = Machine(fixed_s=0.1, each_s=0.0, max_batch=10**6, max_ongoing=10**9)
        result = Simulation(poisson(m / 0.1, 2_000, seed=3), machine).run()
        assert np.mean(result.batches) == pytest.approx(m + math.exp(-m), rel=0.02)


def test_under_too_much_load_every_batch_is_full_and_no_more_comes_out_than_the_machine_can() -> None:
    machine = Machine(fixed_s=0.02, each_s=0.005, max_batch=16, max_ongoing=64)
    result = Simulation(poisson(2 * machine.most, 30), machine, max_waiting=64).run()
    answered = len(result.latency_s) / result.ends_s
    assert answered == pytest.approx(machine.most, rel=0.02)
    assert result.refused + len(result.latency_s) == result.arrived
    assert np.mean(result.batches[5:]) > 15.9
    assert max(result.latency_s) <= (64 + 64) / machine.most + machine.batch_s(16) + 0.01  # queues are bounded


def test_littles_law_holds() -> None:
    machine = Machine(fixed_s=0.01, each_s=0.004)
    arrivals = bursts(300, 60, factor=4, share=0.2, length=2.0, seed=1)
    result = Simulation(arrivals, machine, Scaling(least=3, most=3), max_waiting=10**9).run()
    mean_inside = result.under_way_s / result.ends_s
    assert mean_inside == pytest.approx(sum(result.latency_s) / result.ends_s, rel=1e-6)


def test_two_choices_leave_shorter_queues_than_chance() -> None:
    """Eight M/D/1 queues fed at random wait as one does; the less busy of two waits much less (Mitzenmacher 2001)."""
    result = Simulation(poisson(8 * 8, 1_000), ALONE, Scaling(least=8, most=8)).run()
    alone = 0.8 * 0.1 / (2 * (1 - 0.8))
    assert np.mean(result.latency_s) - 0.1 < 0.5 * alone


def test_the_number_of_replicas_follows_the_load_after_the_delays_and_stays_within_bounds() -> None:
    machine = Machine(fixed_s=0.0, each_s=0.1, max_batch=1, max_ongoing=10**9)
    scaling = Scaling(least=1, most=12, target=1.0, look_back_s=5, up_after_s=10, down_after_s=20, start_s=3)
    steady = np.arange(0.0, 300.0, 0.05)  # 20 a second of 0.1 s each: two replicas' worth of work
    result = Simulation(steady, machine, scaling, max_waiting=10**9).run()
    counts = [count for _, count in result.replicas]
    assert all(1 <= count <= 12 for count in counts)
    first_up = next(moment for moment, count in result.replicas if count > 1)
    assert first_up >= 10 + 3
    assert counts[-1] == pytest.approx(2, abs=1)  # the backlog is gone, and so are the replicas that it brought
    assert max(counts) > counts[-1]


def test_networks_that_fit_are_loaded_once_and_those_that_do_not_again_and_again() -> None:
    machine = Machine(fixed_s=0.001, each_s=0.001, kept=4, load_s=0.05)
    arrivals = poisson(20, 50)
    few = Simulation(arrivals, machine, keys=popular(len(arrivals), 4)).run()
    many = Simulation(arrivals, machine, keys=popular(len(arrivals), 40)).run()
    assert few.loads == 4
    assert many.loads > 100
    spread = Simulation(arrivals, machine, Scaling(least=10, most=10), popular(len(arrivals), 40)).run()
    assert spread.loads < 0.5 * many.loads  # each of ten replicas keeps its share of them


def test_arrivals_have_the_rate_that_was_asked_for_and_bursts_are_burstier() -> None:
    plain, wild = poisson(50, 400), bursts(50, 4_000, factor=8, share=0.1, length=5.0)
    assert len(plain) / 400 == pytest.approx(50, rel=0.05)
    assert len(wild) / 4_000 == pytest.approx(50, rel=0.15)
    for arrivals, seconds, most in ((plain, 400, 1.5), (wild, 4_000, math.inf)):
        counts = np.histogram(arrivals, bins=seconds)[0]
        assert (counts.var() / counts.mean() > 3) == (most == math.inf)  # 1 for Poisson


def test_a_recorded_log_gives_its_requests_moments(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    lines = [
        {"time": "2026-11-22T10:00:01.250Z", "path": "/v1/compare", "seconds": 0.25},
        {"time": "2026-11-22T10:00:00.500Z", "path": "/v1/cost", "seconds": 0.0},
        {"time": "2026-11-22T10:00:09.000Z", "message": "something else"},
    ]
    path.write_text("a line for people\n" + "\n".join(map(json.dumps, lines)) + "\n")
    assert recorded(path).tolist() == pytest.approx([0.0, 0.5])
    with pytest.raises(SystemExit, match="no request"):
        path.write_text("")
        recorded(path)
