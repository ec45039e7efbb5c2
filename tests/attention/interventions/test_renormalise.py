"""Normalisations estimated anew: the statistics of the network as it runs with the gates replaced, and no others."""

import pytest
import torch
from torch import Tensor, nn

from attention.build import build
from attention.gate import AttentionModule, Gate, ablate
from attention.interventions.renormalise import Renormalised
from attention.spec import Ablation, Variant


class Fixed(AttentionModule):
    """A gate of one half."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.gate = Gate("channel")

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.new_full((len(x), self.channels, 1, 1), 0.5))


def constant(value: float) -> Ablation:
    return Ablation(kind="constant", value=value)


def images(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def tiny() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), Fixed(4), nn.BatchNorm2d(4, eps=1e-12), nn.ReLU(), nn.Flatten()).eval()


def test_a_change_of_scale_right_before_a_normalisation_leaves_no_trace() -> None:
    anew = Renormalised(tiny(), [constant(0.01), constant(1.0), constant(30.0)])
    anew.see(images(16))
    small, one, large = anew.logits(images(5, seed=1))
    torch.testing.assert_close(small, one, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(large, one, rtol=1e-3, atol=1e-5)


def test_the_statistics_are_those_of_all_images_whatever_the_batches() -> None:
    model, ablation = tiny(), constant(2.0)
    with torch.no_grad():
        before = 2.0 * model[0](images(15))  # what arrives at the normalisation
    anew = Renormalised(model, [ablation])
    anew.see(images(15)[:10])
    anew.see(images(15)[10:])
    list(anew.logits(images(1)))
    norm = model[2]
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, before.mean((0, 2, 3)), rtol=1e-5, atol=1e-6)
    parts = 10 / 15 * before[:10].var((0, 2, 3)) + 5 / 15 * before[10:].var((0, 2, 3))
    torch.testing.assert_close(norm.running_var, parts, rtol=1e-5, atol=1e-6)


def test_before_any_image_and_for_a_lone_one_the_network_is_as_it_was() -> None:
    model = build(Variant.parse("eca"))
    ablation = Ablation(kind="neutral")
    with torch.inference_mode(), ablate(model, ablation):
        expected = model(images(2))
    anew = Renormalised(build(Variant.parse("eca")), [ablation])
    anew.see(images(1))
    assert anew.seen == 0
    (found,) = anew.logits(images(2))
    torch.testing.assert_close(found, expected)


@pytest.mark.full
def test_each_ablation_keeps_statistics_of_its_own_and_the_network_is_left_in_eval_mode() -> None:
    both = [Ablation(kind="neutral"), Ablation(kind="constant", value=0.3, gates=("layer2",))]
    together = Renormalised(build(Variant.parse("eca")), both)
    together.see(images(6))
    apart = []
    for one in both:
        alone = Renormalised(build(Variant.parse("eca")), [one])
        alone.see(images(6))
        apart += list(alone.logits(images(3, seed=2)))
    for found, expected in zip(together.logits(images(3, seed=2)), apart, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_failing_pass_leaves_no_layer_in_training_mode() -> None:
    model = tiny()
    anew = Renormalised(model, [constant(1.0)])
    with pytest.raises(RuntimeError):
        anew.see(torch.zeros(4, 5, 16, 16))
    assert not any(part.training for part in model.modules())
