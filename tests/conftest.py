"""What every test shares: one thread of torch, the choice of the default set, and the CPU time of each test if asked.

The default set has one representative of each kind: of a parametrised test its first and its last case, and no test
that is marked ``full``, ``slow``, ``browser`` or ``scale``. ``-m ""`` (``make testall``) takes all.
"""

import gc
import logging
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from attention.storage.folder import FolderStore

settings.register_profile("any_machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any_machine")
"""A property is true or false; how long an example took tells of the machine, and fails no test."""


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set comes along: what is listed is what the test put there."""
    monkeypatch.setattr("attention.data.folder.SHIPPED", FolderStore(tmp_path / "nothing shipped"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--cpu-times", type=Path, help="file to append the CPU seconds of each test to")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases between the first and the last of each parametrised test as ``full``."""
    cases = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            cases[item.nodeid.partition("[")[0]].append(item)
    for same in cases.values():
        for item in same[1:-1]:
            item.add_marker(pytest.mark.full)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Keep the garbage collector off what stays to the end, modules and collected tests: its passes cost seconds."""
    gc.disable()
    result = yield
    gc.freeze()
    gc.set_threshold(10_000, 10, 100)
    gc.enable()
    return result


def pytest_collection_finish() -> None:
    """Let a hundred loggers of torch's pass messages on: pytest would visit each six times in every test otherwise."""
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.propagate = True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Write down what a test costs, its set-up and the processes it waited for included."""
    times: Path | None = item.config.getoption("--cpu-times")
    before = sum(os.times()[:4])
    result = yield
    if times is not None:
        with times.open("a", encoding="utf-8") as file:
            file.write(f"{sum(os.times()[:4]) - before:.2f} {item.nodeid}\n")
    return result
