"""One budget of memory: what the machine or its container has, who draws on it, and what comes back."""

import math
from itertools import islice
from pathlib import Path

import pytest
import torch
from starlette.testclient import TestClient

from attention.counting.cost import count
from attention.errors import Overloaded, TooLarge
from attention.running.reference_gates import ReferenceGates
from attention.spec import Variant
from benchmarks.load.soak import networks, soak
from server.app import create_app
from server.engine.admission import PARTS, BudgetedCache, MemoryBudget
from server.engine.local import LocalEngine
from server.settings import Settings, machine_memory
from tests.server.conftest import photo

KILOBYTE, MEGABYTE = 1000, 1_000_000
IMAGE = torch.zeros(1, 3, 32, 32)


def weights_of(name: str) -> int:
    total = count(Variant.parse(name)).total
    return 4 * (total.parameters + total.buffers)


def of_groups(root: Path, groups: str, **limits: str) -> int:
    """What a machine allows whose control groups say this; ``a__b`` is the file b of the folder a."""
    for path, limit in {"proc/self/cgroup": groups, **limits}.items():
        file = root / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(limit)
    return machine_memory(root)


# ---------------------------------------------------------------- how much there is


def test_a_container_has_what_its_control_group_allows(tmp_path: Path) -> None:
    machine = machine_memory(tmp_path / "no Linux")
    assert machine > 100 * MEGABYTE
    second = {"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "90000000\n"}
    assert of_groups(tmp_path / "parent", "0::/a/b\n", **second) == 90_000_000  # a group's parent binds it, too
    assert of_groups(tmp_path / "top", "0::/../x\n", **{"sys/fs/cgroup/memory.max": "80000000"}) == 80_000_000
    first = {"sys/fs/cgroup/memory/memory.limit_in_bytes": "70000000"}
    assert of_groups(tmp_path / "old", "4:memory:/docker/1\n1:cpu:/\n", **first) == 70_000_000
    endless = {"sys/fs/cgroup/memory/memory.limit_in_bytes": str(2**63 - 4096)}
    assert of_groups(tmp_path / "endless", "4:memory:/\n", **endless) == machine


def test_the_budget_is_half_of_it_or_what_the_setting_says() -> None:
    assert Settings().memory == machine_memory() // 2
    assert Settings(memory_bytes=123).memory == 123
    assert Settings(engine="ray", ray_replica_cpus=1e9).memory == machine_memory() // 2


# ---------------------------------------------------------------- who draws on it


def test_all_shares_together_are_the_budget() -> None:
    assert sum(PARTS.values()) == 1.0


def test_what_does_not_fit_now_comes_back_and_what_never_fits_is_too_large() -> None:
    memory = MemoryBudget(8 * KILOBYTE)
    memory.take("bodies", 600)
    with pytest.raises(Overloaded, match="600 bytes of other requests are in memory, and there is room for 1,000"):
        memory.take("bodies", 401)
    with pytest.raises(TooLarge, match="takes 1,001 bytes .* ATTENTION_MEMORY_BYTES"):
        memory.take("bodies", 1001)
    memory.take("networks", 4 * KILOBYTE)
    with pytest.raises(Overloaded), memory.holding("passes", 2 * KILOBYTE):  # networks and passes share 5,000
        pass
    memory.give_back("networks", 4 * KILOBYTE)
    with memory.holding("passes", 2 * KILOBYTE):
        assert memory.held["passes"] == 2 * KILOBYTE
    memory.give_back("bodies", 600)
    assert not any(memory.held.values())


def test_the_least_recently_used_make_room() -> None:
    memory = MemoryBudget(8 * KILOBYTE)
    cache: BudgetedCache[str, bytes] = BudgetedCache(memory, "answers", len)
    for name in "abcd":
        cache.keep(name, bytes(250))
    assert cache.find("a") is not None
    cache.keep("e", bytes(300))  # takes the places of b and c
    assert [name for name in "abcde" if cache.find(name) is not None] == ["a", "d", "e"]
    cache.keep("a", bytes(100))  # in place of another
    assert memory.held["answers"] == 100 + 250 + 300
    cache.keep("f", bytes(1001))  # it never fits: it is used once, and nothing leaves for it
    assert [name for name in "adef" if cache.find(name) is not None] == ["a", "d", "e"]


def test_reference_gates_weigh_what_their_numbers_weigh() -> None:
    references = ReferenceGates()
    references.add(IMAGE.expand(3, -1, -1, -1), {"gate": torch.zeros(3, 8, 1, 1)}, False)
    assert references.bytes == 3 * 8 * 4


# ---------------------------------------------------------------- an engine


def of_memory(folder: Path, size: float) -> LocalEngine:
    return LocalEngine(Settings(data=folder, device="cpu", threads=1, memory_bytes=math.ceil(size)))


@pytest.mark.full
def test_networks_stay_as_long_as_there_is_room_and_weigh_their_parameters(tmp_path: Path) -> None:
    names = [f"resnet20/none?seed={seed}" for seed in range(5)]
    weights = weights_of(names[0])
    engine = of_memory(tmp_path, 4.5 * weights * 8 / 5)  # room for four, and for the copy while one is built
    try:
        lab = engine.lab()
        for name in names:
            lab.forward(Variant.parse(name), IMAGE)
            held = engine.networks.memory.held
            assert held["networks"] <= 4.5 * weights and held["passes"] == 0
        assert 2 * weights < held["networks"]  # normalisations are worked into convolutions, so a little less than 3
        before = engine.networks.kept.hits
        lab.forward(Variant.parse(names[-1]), IMAGE)
        assert engine.networks.kept.hits == before + 1
    finally:
        engine.close()


@pytest.mark.full
def test_a_network_that_cannot_fit_is_refused_with_a_sentence_and_the_others_stay(tmp_path: Path) -> None:
    small, large = "resnet20/none", "resnet20(width=64)/none"
    engine = of_memory(tmp_path, 4 * weights_of(small) * 8 / 5)
    try:
        lab = engine.lab()
        lab.forward(Variant.parse(small), IMAGE)
        with pytest.raises(TooLarge, match="bytes of memory for networks"):
            lab.forward(Variant.parse(large), IMAGE)
        before = engine.networks.kept.hits
        assert lab.forward(Variant.parse(small), IMAGE).logits.shape == (1, 10)
        assert engine.networks.kept.hits == before + 1 and engine.networks.memory.held["passes"] == 0
    finally:
        engine.close()


@pytest.mark.full
def test_a_batch_that_does_not_fit_runs_image_by_image(tmp_path: Path) -> None:
    variant = Variant.parse("resnet20/none")
    one = count(variant).peak_activation_bytes
    sizes: list[int] = []
    engine = of_memory(tmp_path, (2 * weights_of(variant.name) + one) * 8 / 5)
    engine.networks._batcher._on_batch = lambda size, seconds: sizes.append(size)
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert 16 * one > engine.networks.memory.most("passes")
    try:
        together = engine.lab().forward(variant, images).logits
        alone = torch.cat([engine.lab().forward(variant, image[None]).logits for image in images])
    finally:
        engine.close()
    assert set(sizes) == {1}
    torch.testing.assert_close(together, alone)


@pytest.mark.full
def test_metrics_show_each_share(settings: Settings) -> None:
    with TestClient(create_app(settings.model_copy(update={"memory_bytes": 80 * MEGABYTE}))) as client:
        answer = client.post("/v1/compare", files={"image": photo()}, data={"variants": "resnet20/se"})
        assert answer.status_code == 200
        lines = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if line[0] != "#")
        assert float(lines["attention_memory_budget_bytes"]) == 80 * MEGABYTE
        held = {share: float(lines[f'attention_memory_bytes{{share="{share}"}}']) for group in PARTS for share in group}
    assert 0.9 * weights_of("resnet20/se") < held["networks"] <= weights_of("resnet20/se")
    assert held["answers"] == len(answer.content) and held["passes"] == held["bodies"] == held["references"] == 0


# ---------------------------------------------------------------- a process


@pytest.mark.slow
def test_a_service_stays_within_its_budget_over_200_networks_and_five_large_ones() -> None:
    """The large ones have 110 MB each: none may stay in memory after it has left."""
    large = [f"resnet20(width=64)/se?classes=100000&seed={seed}" for seed in range(5)]
    told = soak([*islice(networks(), 200), *large], 400 * MEGABYTE)
    assert told.shares_mb["networks"] > 100  # it was filled
    assert told.within, told
