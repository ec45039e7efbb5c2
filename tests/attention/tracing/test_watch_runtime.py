"""However a model is run (compiled, wrapped, in threads, under autocast, recomputed, exported), its gates are seen, and
nothing stays behind; what cannot be seen is refused with its sentence.
"""

import copy
import gc
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils.checkpoint import checkpoint

from attention.build import build
from attention.errors import InvalidRequest
from attention.spec import Variant
from attention.watch import ablate, capture, watch
from tests.attention.tracing import gated
from tests.attention.tracing.gated import CHANNELS, Classifier, Function, SqueezeExcitation

PATHS = ["layer1.0.attention", "layer2.0.attention", "layer2.1.attention"]


def photos(batch: int = 2, seed: int = 1) -> Tensor:
    return torch.randn(batch, 3, 12, 12, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def model() -> Classifier:
    torch.manual_seed(0)
    return Classifier().eval()


def hooks(model: nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def modes() -> int:
    return len(_get_current_function_mode_stack())  # type: ignore[no-untyped-call]


def test_hooks_and_modes_leave_with_the_block(model: Classifier) -> None:
    with capture(model), ablate(model, "constant"):
        model(photos())
        assert hooks(model) > 0 and modes() == 0, "the mode is there during a pass only"
    assert hooks(model) == 0


def test_an_error_in_the_pass_leaves_nothing_behind(model: Classifier) -> None:
    with pytest.raises(RuntimeError, match="channels"), capture(model), ablate(model, "constant"):
        model(torch.randn(1, 4, 12, 12))
    assert hooks(model) == 0 and modes() == 0
    assert len(capture(model, photos())) == 3


def test_an_interruption_in_the_pass_leaves_nothing_behind(model: Classifier) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    model.get_submodule("layer2.1.bn").register_forward_hook(interrupt)
    with pytest.raises(KeyboardInterrupt), capture(model):
        model(photos())
    assert modes() == 0 and hooks(model) == 1


def test_an_error_that_the_model_mends_does_not_mix_up_names(model: Classifier) -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.risky, self.safe = SqueezeExcitation(4), SqueezeExcitation()

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.risky(x)
            except RuntimeError:
                return self.safe(x) * torch.sigmoid(x.mean((2, 3), keepdim=True))

    found = watch(Careful(), torch.randn(2, CHANNELS, 6, 6))
    assert found.paths == ("safe", "(model)")


def test_captures_and_ablations_act_in_the_order_they_were_entered(model: Classifier) -> None:
    x = photos()
    untouched = capture(model, x)[PATHS[0]]
    with torch.no_grad():
        with capture(model) as before, ablate(model, "scalar"), capture(model) as between:
            with ablate(model, "constant", value=0.2), capture(model) as after:
                model(x)
    assert torch.equal(before[PATHS[0]], untouched)
    assert torch.equal(between[PATHS[0]], untouched.mean(1, keepdim=True).expand_as(untouched))
    assert (after[PATHS[0]] == 0.2).all()


def test_blocks_may_be_left_in_another_order_than_they_were_entered(model: Classifier) -> None:
    first, second = capture(model), ablate(model, "constant")
    gates = first.__enter__()
    second.__enter__()
    model(photos())
    first.__exit__(None, None, None)
    assert len(gates) == 3 and hooks(model) > 0
    second.__exit__(None, None, None)
    assert hooks(model) == 0


@pytest.mark.full
@pytest.mark.parametrize("compile_it", ["wrapper", "in place"])
def test_a_compiled_model_shows_its_gates_and_runs_compiled_again_afterwards(
    model: Classifier, compile_it: str
) -> None:
    x, runs = photos(), []

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            runs.append(1)
            return graph(*args)

        return run

    eager = copy.deepcopy(model)
    compiled: Any = model
    if compile_it == "wrapper":
        compiled = torch.compile(model, backend=backend)
    else:
        model.compile(backend=backend)
    with torch.no_grad():
        bare = compiled(x)
        calls = len(runs)
        assert calls > 0
        assert list(watch(compiled, 12).paths) == PATHS
        with capture(compiled) as gates, ablate(compiled, "constant", at="layer2"):
            ablated = compiled(x)
        assert list(gates) == PATHS and len(runs) == calls, "inside the block the original runs"
        with ablate(eager, "constant", at="layer2"):
            assert torch.equal(ablated, eager(x))
        assert torch.equal(compiled(x), bare) and len(runs) > calls
    torch._dynamo.reset()


def test_wrappers_are_taken_off_for_names(model: Classifier) -> None:
    wrapped = nn.DataParallel(model)
    assert list(watch(wrapped, 12).paths) == PATHS
    with torch.no_grad(), capture(wrapped) as gates:
        wrapped(photos())
    assert list(gates) == PATHS


def test_a_replica_of_dataparallel_shows_its_gates() -> None:
    model = gated.GCT()
    replica: Any = model._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        setattr(replica, name, parameter.detach() * 1)  # as replicate() does: a tensor, no parameter
    with torch.no_grad(), capture(model) as gates:
        replica = model._replicate_for_data_parallel()  # type: ignore[no-untyped-call]
        for name, parameter in model.named_parameters():
            setattr(replica, name, parameter.detach() * 1)
        replica(torch.randn(2, CHANNELS, 6, 6))
    assert list(gates) == ["(model)"]


def test_threads_share_a_block(model: Classifier) -> None:
    inputs = [photos(seed=seed) for seed in range(3)]
    with torch.no_grad(), ablate(model, "constant"):
        alone = [model(x) for x in inputs]
    outputs: dict[int, Tensor] = {}

    def run(number: int) -> None:
        with torch.no_grad():
            for _ in range(5):
                outputs[number] = model(inputs[number])

    with ablate(model, "constant"), capture(model) as gates:
        threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(gates) == PATHS and hooks(model) == 0
    assert all(torch.equal(outputs[number], alone[number]) for number in range(3))


def test_autocast_gives_gates_in_its_own_format(model: Classifier) -> None:
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), capture(model) as gates:
        model(photos())
    assert {gate.dtype for gate in gates.values()} == {torch.bfloat16}


class Recomputing(Classifier):
    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(self.stem(x))
        x = checkpoint(self.layer2, x, use_reentrant=False)
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("kind", ["constant", "scalar"])
def test_checkpointed_activations_are_recomputed_with_the_same_gates(kind: Any) -> None:
    gradients = []
    for network in (Classifier, Recomputing):
        torch.manual_seed(0)
        model = network().train()
        with ablate(model, kind, value=0.3), capture(model) as gates:
            model(photos()).square().sum().backward()
        assert list(gates) == PATHS
        gradients.append({path: parameter.grad for path, parameter in model.named_parameters()})
    for path, gradient in gradients[0].items():
        other = gradients[1][path]
        assert (gradient is None) == (other is None), path
        assert gradient is None or other is None or torch.equal(gradient, other), path


def test_gradients_are_those_of_a_model_whose_gate_is_that_number(model: Classifier) -> None:
    edited = copy.deepcopy(model)
    for block in (edited.layer1[0], *edited.layer2):
        block.attention = Function(lambda x: x)
        block.attention.conv = nn.Identity()
        block.attention.expression = lambda x: x * 0.3
    with ablate(model, "constant", value=0.3):
        model(photos()).sum().backward()
    edited(photos()).sum().backward()
    for path, parameter in edited.named_parameters():
        own = model.get_parameter(path).grad
        assert own is not None and parameter.grad is not None and torch.equal(own, parameter.grad), path
    assert all(parameter.grad is None for path, parameter in model.named_parameters() if "attention" in path)


def test_capturing_while_training_changes_no_gradient(model: Classifier) -> None:
    other = copy.deepcopy(model)
    other(photos()).sum().backward()
    with capture(model):
        model(photos()).sum().backward()
    pairs = zip(model.parameters(), other.parameters(), strict=True)
    assert all(a.grad is not None and b.grad is not None and torch.equal(a.grad, b.grad) for a, b in pairs)


def test_parts_of_a_model_called_by_themselves_show_their_gates(model: Classifier) -> None:
    with torch.no_grad(), capture(model) as gates:
        model.layer2(model.layer1(model.stem(photos())))
    assert list(gates) == PATHS


def test_following_a_pass_keeps_no_activation_alive(model: Classifier) -> None:
    kept: list[weakref.ref[Tensor]] = []
    for path in ("layer2.0.conv", "layer2.1.conv"):
        model.get_submodule(path).register_forward_hook(lambda module, args, output: kept.append(weakref.ref(output)))
    alive: list[int] = []
    model.head.register_forward_hook(lambda *_: alive.append(sum(ref() is not None for ref in kept)))
    gc.disable()
    try:
        with torch.no_grad(), capture(model):
            model(photos())
    finally:
        gc.enable()
    assert len(kept) == 2 and alive == [0]


@pytest.mark.full
def test_an_exported_model_shows_its_gates(model: Classifier) -> None:
    exported = torch.export.export(model, (photos(),)).module()
    found = watch(exported, photos())
    assert found.paths == ("(model)", "(model)#2", "(model)#3")
    with torch.no_grad(), ablate(exported, "constant"), capture(exported) as gates:
        exported(photos())
    assert all((gate == 0.5).all() for gate in gates.values())


def scripted(module: nn.Module) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.script(module)


def test_a_scripted_model_is_refused_and_a_scripted_part_is_named(model: Classifier) -> None:
    for act in (lambda: watch(scripted(SqueezeExcitation())), lambda: capture(scripted(SqueezeExcitation()), photos())):
        with pytest.raises(InvalidRequest, match="TorchScript: it runs without Python"):
            act()
    model.layer1[0].attention = scripted(SqueezeExcitation())
    found = watch(model, 12)
    assert list(found.paths) == PATHS[1:] and found.not_visible == ("layer1.0.attention",)
    assert "layer1.0.attention" in str(found)
    with pytest.raises(InvalidRequest, match="runs without Python"):
        watch(model, 12, gates={"layer1.0.attention": "channel"})


class Quantised(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)
        return torch.ops.quantized.mul(x, x, 0.1, 0).dequantize()


def test_a_quantised_model_is_refused(model: Classifier) -> None:
    quantised, x = nn.Sequential(Quantised()), torch.rand(1, CHANNELS, 6, 6)
    for act in (lambda: watch(quantised, x), lambda: capture(quantised, x)):
        with pytest.raises(InvalidRequest, match="quantised .*at 0.*Give the float model"):
            act()


def test_an_empty_capture_is_an_error(model: Classifier) -> None:
    plain = Classifier(nn.Identity).eval()
    sentence = r"Classifier has no gates: 4 convolutions, 0 products.*attention\.attach.*point at a submodule"
    assert not watch(plain, 12).gates
    with pytest.raises(InvalidRequest, match=sentence):
        capture(plain, photos())
    with pytest.raises(InvalidRequest, match=sentence), ablate(plain, "constant"):
        plain(photos())
    with pytest.raises(InvalidRequest, match="No forward pass of this model ran inside the block"), capture(model):
        pass
    with pytest.raises(InvalidRequest, match="has no gates"):
        capture(build(Variant.parse("resnet20/none")), torch.zeros(1, 3, 32, 32))


def test_a_pass_that_takes_another_way_says_so() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = SqueezeExcitation()

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x) if len(x) == 1 else x * 2

    model = Branching()
    found = watch(model, torch.zeros(1, CHANNELS, 6, 6))
    with pytest.raises(InvalidRequest, match="met none of the 1 gates known"):
        capture(model, torch.zeros(2, CHANNELS, 6, 6), gates=found)


def test_paths_that_name_nothing_say_the_nearest(model: Classifier) -> None:
    with pytest.raises(InvalidRequest, match=r"no submodule 'layer5\.\*'\. Did you mean 'layer2\.\*'"):
        watch(model, 12, gates={"layer5.*": "channel"})
    with pytest.raises(InvalidRequest, match="no submodule 'layer9'"), ablate(model, "constant", at="layer9"):
        pass
    with pytest.raises(InvalidRequest, match=r"no gate at 'layer1\.0\.bn'.*layer1\.0\.attention"):
        with ablate(model, "constant", at="layer1.0.bn"):
            model(photos())
    assert hooks(model) == 0


@pytest.mark.parametrize(
    ("pointed", "part"),
    [
        ({"layer1.0.bn": "channel"}, "'layer1.0.bn' gives values from .* so it is a map.*Point at the activation"),
        ({"layer1.0.bn": "full"}, "so it is a map"),
        ({"layer1.0.attention.gate": "chanel"}, "'chanel' is not a kind of gate"),
    ],
)
def test_pointing_at_what_is_no_weight_is_refused(model: Classifier, pointed: Any, part: str) -> None:
    with torch.no_grad():
        model.get_parameter("layer1.0.bn.weight").mul_(100)
    with pytest.raises(InvalidRequest, match=part):
        watch(model, photos(), gates=pointed)
    assert hooks(model) == 0


def test_what_an_ablation_cannot_take_gets_a_sentence(model: Classifier) -> None:
    reference = {path: torch.ones(1, 7, 1, 1) for path in PATHS}
    calls: tuple[tuple[Callable[[], Any], str], ...] = (
        (lambda: ablate(model, "men"), "no kind of ablation"),  # type: ignore[arg-type]
        (lambda: ablate(model, "mean"), "no reference weights"),
        (lambda: ablate(model, "mean", reference), "has shape"),
        (lambda: ablate(model, "constant", value=1e9), "cannot take value"),
    )
    for act, part in calls:
        with pytest.raises(InvalidRequest, match=part), act():
            model(photos())
    full = gated.SimAM()
    gates = capture(full, torch.randn(1, CHANNELS, 6, 6))
    with pytest.raises(InvalidRequest, match="change with the image's size"), ablate(full, "mean", gates):
        full(torch.randn(1, CHANNELS, 8, 8))
    for wrong in (None, "resnet50", torch.zeros(1)):
        with pytest.raises(InvalidRequest, match="is no model"):
            watch(wrong)  # type: ignore[arg-type]


def test_a_model_that_gives_nothing_gets_a_sentence() -> None:
    class Forgetful(Classifier):
        def forward(self, x: torch.Tensor) -> None:  # type: ignore[override]
            super().forward(x)

    with pytest.raises(InvalidRequest, match="Forgetful gave None"):
        watch(Forgetful(), photos())
