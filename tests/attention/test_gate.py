"""Seeing and replacing gates: what capture collects, what each ablation puts in, and that nothing stays behind."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from attention.build import build
from attention.errors import InvalidRequest
from attention.gate import Gate, ablate, capture, gates, sites
from attention.spec import Ablation, Pictures, Variant


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build(Variant.parse("resnet20/eca"))


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def images(count: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_capture_sees_every_gate_once_in_order(model: nn.Module) -> None:
    with capture(model) as seen:
        model(images())
    assert list(seen) == list(gates(model)) == [site.path for site in sites(model)]
    assert [tuple(value.shape) for value in seen.values()] == [(3, c, 1, 1) for c in (16,) * 3 + (32,) * 3 + (64,) * 3]


def test_sites_say_stage_and_block(model: nn.Module) -> None:
    assert [(site.stage, site.block) for site in sites(model)] == [(s, b) for s in (1, 2, 3) for b in (1, 2, 3)]
    assert {(site.kind, site.neutral, site.position) for site in sites(model)} == {("channel", 1.0, "standard")}


def test_capture_does_not_change_the_answer(model: nn.Module) -> None:
    with capture(model):
        seen = model(images())
    assert torch.equal(seen, model(images()))


def test_leaving_removes_every_hook_even_after_an_error(model: nn.Module) -> None:
    with pytest.raises(RuntimeError), ablate(model, Ablation(kind="neutral")), capture(model):
        assert hooks(model) == 18
        model(torch.randn(1, 4, 32, 32))
    assert hooks(model) == 0


def replaced(model: nn.Module, ablation: Ablation, reference: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
    with ablate(model, ablation, reference), capture(model) as seen:
        model(images())
    return seen


def test_no_ablation_changes_nothing(model: nn.Module) -> None:
    with ablate(model, None):
        assert hooks(model) == 0


def test_neutral_and_constant_put_their_value_everywhere(model: nn.Module) -> None:
    for value in replaced(model, Ablation(kind="neutral")).values():
        assert (value == 1).all()
    for value in replaced(model, Ablation(kind="constant", value=0.25)).values():
        assert (value == 0.25).all()


def test_scalar_is_each_images_own_mean_over_channels(model: nn.Module) -> None:
    path = next(iter(gates(model)))
    with capture(model) as before:
        model(images())
    after = replaced(model, Ablation(kind="scalar", gates=(path,)))
    torch.testing.assert_close(after[path], before[path].mean(1, keepdim=True).expand(3, 16, 1, 1))


def test_shuffle_moves_the_same_weights_in_one_order_drawn_from_the_seed(model: nn.Module) -> None:
    path = next(iter(gates(model)))
    with capture(model) as before:
        model(images())
    once, again, other = (replaced(model, Ablation(kind="shuffle", gates=(path,), seed=s))[path] for s in (0, 0, 1))
    assert torch.equal(once, again) and not torch.equal(once, other) and not torch.equal(once, before[path])
    assert torch.equal(once.sort(1).values, before[path].sort(1).values)


def test_reference_weights_go_to_every_image(model: nn.Module) -> None:
    with capture(model) as other:
        model(images(1, seed=9))
    after = replaced(model, Ablation(kind="other_image", reference=Pictures(images=("x",))), other)
    for path, value in after.items():
        assert torch.equal(value, other[path].expand_as(value))


def test_a_prefix_chooses_a_stage(model: nn.Module) -> None:
    after = replaced(model, Ablation(kind="constant", value=0.125, gates=("layer2",)))
    assert [path for path, value in after.items() if (value == 0.125).all()] == [
        p for p in gates(model) if "layer2" in p
    ]


@pytest.mark.parametrize(
    ("ablation", "part"),
    [
        (Ablation(kind="neutral", gates=("layer9",)), "no gate at 'layer9'"),
        (Ablation(kind="neutral", gates=("layer",)), "no gate at 'layer'"),
        (Ablation(kind="mean", reference=Pictures(images=("x",))), "no reference weights"),
    ],
)
def test_an_ablation_that_cannot_be_gets_a_sentence(model: nn.Module, ablation: Ablation, part: str) -> None:
    with pytest.raises(InvalidRequest, match=part), ablate(model, ablation):
        pass
    assert hooks(model) == 0


def test_a_softmax_choice_has_no_neutral_weight() -> None:
    with (
        pytest.raises(InvalidRequest, match="chooses among branches"),
        ablate(nn.Sequential(Gate("branch", None)), Ablation(kind="neutral")),
    ):
        pass


def test_a_reference_of_another_shape_gets_a_sentence(model: nn.Module) -> None:
    wrong = {path: torch.ones(1, 7, 1, 1) for path in gates(model)}
    with (
        pytest.raises(InvalidRequest, match="has shape"),
        ablate(model, Ablation(kind="mean", reference=Pictures(images=("x",))), wrong),
    ):
        model(images())


def test_an_unknown_kind_of_gate_is_refused() -> None:
    with pytest.raises(ValueError, match="not a kind of gate"):
        Gate("chanel")  # type: ignore[arg-type]


# ---------------------------------------------------------------- compiled networks


def compiled_before(model: nn.Module, in_place: bool) -> nn.Module:
    """A compiled network that has run once, so that hooks set from now on are not in its code."""
    compiled = copy.deepcopy(model)
    if in_place:
        compiled.compile(backend="eager")
    else:
        compiled = torch.compile(compiled, backend="eager")  # type: ignore[assignment]
    compiled(images())
    return compiled


@pytest.mark.full
@pytest.mark.parametrize("in_place", [False, True])
def test_capture_of_a_network_that_was_compiled_and_run_is_not_empty(model: nn.Module, in_place: bool) -> None:
    compiled, expected = compiled_before(model, in_place), model(images())
    with capture(model) as seen:
        model(images())
    with capture(compiled) as gates_seen:
        assert torch.equal(compiled(images()), expected)
    assert list(gates_seen) == list(seen)  # by the paths that the network had before it was compiled
    assert all(torch.equal(gates_seen[path], seen[path]) for path in seen)
    torch.testing.assert_close(compiled(images()), expected)  # the compiled code is back
    assert hooks(compiled) == 0 and not is_eager()


@pytest.mark.full
@pytest.mark.parametrize("in_place", [False, True])
def test_ablation_of_a_compiled_network_replaces_its_gates(model: nn.Module, in_place: bool) -> None:
    compiled = compiled_before(model, in_place)
    ablation = Ablation(kind="neutral", gates=("layer2",))
    with ablate(model, ablation):
        expected = model(images())
    with ablate(compiled, ablation):
        assert torch.equal(compiled(images()), expected)
    assert not torch.equal(compiled(images()), expected) and not is_eager()


def is_eager() -> bool:
    """Whether compiled networks run as they are written now."""
    return torch._dynamo.eval_frame._stance.stance == "force_eager"


@pytest.mark.full
def test_blocks_around_compiled_networks_may_overlap(model: nn.Module) -> None:
    """As in two threads: entered one after the other, left in the same order."""
    compiled = compiled_before(model, in_place=False)
    first, second = capture(compiled), capture(compiled)
    first.__enter__()
    second.__enter__()
    assert is_eager()
    first.__exit__(None, None, None)
    assert is_eager()
    second.__exit__(None, None, None)
    assert not is_eager()
