"""What other machines are told, and what comes back from them, without any other machine."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from attention.reports.compare import CompareRequest
from attention.reports.cost import CostRequest
from attention.reports.study import StudyRequest
from attention.spec import Variant
from server.cluster.remote_workers import check_reachable, networks_key, stream_results, worker_settings
from server.settings import Settings

SE, ECA = Variant.parse("resnet20/se"), Variant.parse("resnet20/eca")


def test_what_a_replica_is_told_makes_the_same_settings_of_everything_that_decides(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, files="s3://bucket/x", device="cpu", threads=3, ray_replica_gpus=0.5)
    chosen, _ = worker_settings(settings)
    told = Settings.model_validate(chosen)
    assert (told.folder, told.files, told.device, told.cpu_threads) == (tmp_path, "s3://bucket/x", "cpu", 3)
    assert told.ray_replica_gpus == 0.5 and told.port == Settings().port


@pytest.mark.parametrize(
    ("change", "another"),
    [
        ({"files": "s3://bucket/y"}, True),
        ({"dtype": "bfloat16"}, True),
        ({"max_batch_size": 3}, True),
        ({"ray_replica_cpus": 2.0}, True),
        ({"ray_replicas_max": 9}, True),
        ({"port": 9}, False),
        ({"ray_job_cpus": 2.0}, False),
        ({"log_level": "debug"}, False),
    ],
)
def test_replicas_are_replaced_when_what_they_go_by_changes(change: dict[str, Any], another: bool) -> None:
    settings = Settings(files="s3://bucket/x", threads=1)
    assert (worker_settings(settings)[1] != worker_settings(settings.model_copy(update=change))[1]) == another


def test_requests_of_the_same_networks_belong_together_in_any_order() -> None:
    one = CompareRequest(images=("a" * 64,), variants=(SE, ECA))
    other = CompareRequest(images=("b" * 64,), variants=(ECA, SE))
    assert (
        networks_key(one)
        == networks_key(other)
        == networks_key(CostRequest(variants=(SE, ECA)))
        != networks_key(CostRequest(variants=(SE,)))
    )
    assert networks_key(StudyRequest(data="x", variants=(SE, ECA), seeds=1)) == networks_key(one)


def test_an_address_is_knocked_at() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"127.0.0.1:{door.getsockname()[1]}"
        check_reachable(address)
    for wrong in (address, "nowhere", "127.0.0.1:"):
        with pytest.raises((OSError, ValueError)):
            check_reachable(wrong)


def test_a_part_is_told_before_the_next_is_worked_on_and_the_last_is_the_result() -> None:
    def work(item: str, on_progress: Callable[[str], None]) -> str:
        for letter in item:
            on_progress(letter)
        return f"{item} on {torch.get_num_threads()}"

    before = torch.get_num_threads()
    assert list(stream_results(work, "ab", 1)) == [(False, "a"), (False, "b"), (True, "ab on 1")]
    assert torch.get_num_threads() == before


def test_what_the_work_raises_comes_after_what_it_said() -> None:
    def work(item: int, on_progress: Callable[[int], None]) -> int:
        on_progress(item)
        raise ZeroDivisionError("at last")

    found = stream_results(work, 7, 1)
    assert next(found) == (False, 7)
    with pytest.raises(ZeroDivisionError, match="at last"):
        next(found)
