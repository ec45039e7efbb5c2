"""Networks in other number formats and as recordings: the same answers within what rounding allows, in float32."""

import pytest
import torch
from torch import Tensor, nn

from attention.build import build
from attention.errors import InvalidRequest
from attention.gate import ablate
from attention.modules import modules
from attention.precision import APART
from attention.running.fused import fused_copy
from attention.running.many_ablations import forward_each
from attention.running.runner import GRAPHS_KEPT, RawOutputs, Replay, Running, fetched, filled_size, plain
from attention.spec import Ablation, Pictures, Variant
from attention.weights import load as weights
from benchmarks.agree import changed_margin

SHIPPED = [one.model_copy(update={"weights": "shipped"}) for one in weights.shipped()]
SE = Variant.parse("resnet20(width=8)/se")
PHOTOS = Pictures(images=("0" * 64,))
NARROW = {"fca": 16}
"""Modules that need more channels than the others."""


def pictures(count: int, side: int = 32) -> Tensor:
    coarse = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size=side, mode="bicubic")  # (B, 3, S, S)


def answers(running: Running, images: Tensor) -> RawOutputs:
    return fetched(*running(running.images(list(images))))


@pytest.mark.full
@pytest.mark.parametrize("variant", SHIPPED, ids=lambda one: one.name)
def test_bfloat16_agrees_with_float32_and_answers_in_it(variant: Variant) -> None:
    images = pictures(24)
    network = build(variant)
    with torch.inference_mode():
        truth, gates = plain(network, images)
    logits, found = answers(Running(fused_copy(network), "cpu", "bfloat16"), images)
    assert logits.dtype == torch.float32 and all(gate.dtype == torch.float32 for gate in found.values())
    assert float((logits.softmax(1) - truth.softmax(1)).abs().max()) <= APART["bfloat16"]
    assert float((logits - truth).abs().max()) > 1e-4, "it is another number format"
    assert changed_margin(logits, truth) <= APART["bfloat16"]
    assert list(found) == list(gates)
    for path, gate in gates.items():
        assert float((found[path] - gate).abs().max()) <= APART["bfloat16"]


@pytest.mark.parametrize("name", sorted(modules))
def test_every_module_runs_in_bfloat16_and_can_be_replaced(name: str) -> None:
    running = Running(
        fused_copy(build(Variant.parse(f"resnet20(width={NARROW.get(name, 4)})/{name}"))), "cpu", "bfloat16"
    )
    images = running.images(list(pictures(2)))
    logits, gates = fetched(*running(images))
    assert logits.isfinite().all() and all(gate.isfinite().all() for gate in gates.values())
    with torch.inference_mode(), ablate(running.network, Ablation(kind="constant", value=0.25)):
        _, replaced = fetched(*running.eager(images))
    assert list(replaced) == list(gates)
    assert all((gate == 0.25).all() for gate in replaced.values())


def test_many_ablations_in_one_pass_are_those_one_by_one_in_bfloat16() -> None:
    running = Running(fused_copy(build(SE)), "cpu", "bfloat16")
    images = running.images(list(pictures(2)))
    reference = {path: gate.mean(0, keepdim=True) for path, gate in fetched(*running(images))[1].items()}  # float32
    asked = [Ablation(kind="neutral"), Ablation(kind="shuffle"), Ablation(kind="mean", reference=PHOTOS)]
    with torch.inference_mode():
        together = forward_each(running.network, images, asked, [{}, {}, reference]).float()
        for number, ablation in enumerate(asked, 1):
            with ablate(running.network, ablation, reference):
                alone = running.eager(images)[0].float()
            torch.testing.assert_close(together[number], alone, rtol=2**-6, atol=0.05)


def test_what_a_device_does_not_have_is_a_sentence() -> None:
    network = build(SE)
    with pytest.raises(InvalidRequest, match="float16 is slow"):
        Running(network, "cpu", "float16")
    with pytest.raises(InvalidRequest, match="CUDA only"):
        Running(network, "cpu", graphs=True)
    with pytest.raises(InvalidRequest, match="There is no device 'cuda:7' here"):
        Running(network, "cuda:7")


def test_batches_are_filled_up_to_the_next_power_of_two() -> None:
    assert [filled_size(rows) for rows in (1, 2, 3, 4, 5, 8, 9, 16)] == [1, 2, 4, 4, 8, 8, 16, 16]


class Tape:
    """What records like a GPU does: one place for what goes in and one for what comes out, overwritten each time."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, network: nn.Module, like: Tensor) -> Replay:
        self.shapes.append(tuple(like.shape))
        images = like.clone()
        logits, gates = plain(network, images)

        def replay(others: Tensor) -> RawOutputs:
            images.copy_(others)
            again, weights_now = plain(network, images)
            logits.copy_(again)
            for path, gate in gates.items():
                gate.copy_(weights_now[path])
            return logits, gates

        return replay


@pytest.mark.full
def test_a_recording_gives_what_the_network_gives_for_every_batch_size() -> None:
    tape = Tape()
    running, truth = Running(build(SE), "cpu", graphs=True, record=tape), Running(build(SE), "cpu")
    for count in (3, 1, 4, 2, 3):
        images = pictures(8)[-count:]
        (logits, gates), (expected, theirs) = answers(running, images), answers(truth, images)
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
        assert list(gates) == list(theirs)
        for path, gate in theirs.items():
            torch.testing.assert_close(gates[path], gate, rtol=1e-5, atol=1e-5)
    assert [shape[0] for shape in tape.shapes] == [4, 1, 2] and running.recorded == 3


def test_what_cannot_be_recorded_runs_as_it_is_and_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    tried: list[int] = []

    def refuse(network: nn.Module, like: Tensor) -> Replay:
        tried.append(len(like))
        raise RuntimeError("operation not permitted when stream is capturing\nand a long story")

    running = Running(build(SE), "cpu", graphs=True, record=refuse)
    images = pictures(3)
    for _ in range(2):
        torch.testing.assert_close(answers(running, images)[0], answers(Running(build(SE), "cpu"), images)[0])
    assert tried == [4] and running.recorded == 0
    assert "not permitted" in caplog.text and "long story" not in caplog.text


@pytest.mark.full
def test_only_so_many_recordings_are_kept() -> None:
    tape = Tape()
    running = Running(build(Variant.parse("resnet20(width=4)/none")), "cpu", graphs=True, record=tape)
    for side in range(8, 8 + GRAPHS_KEPT + 3):
        answers(running, pictures(1, side))
    assert running.recorded == GRAPHS_KEPT and len(tape.shapes) == GRAPHS_KEPT + 3
    answers(running, pictures(1, 8))
    assert len(tape.shapes) == GRAPHS_KEPT + 4, "the first had left"
