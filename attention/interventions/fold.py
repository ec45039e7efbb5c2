"""A network without its attention that computes the same: mean gates worked into batch normalisations.

A gate that is the same for every image is a factor on each channel. Where it multiplies what comes straight from a
batch normalisation, the factor belongs into that normalisation's weight and bias,

    g (a x + b) = (g a) x + g b,

and the network is a plain one. Where it multiplies what goes into one convolution and nowhere else, it belongs into the
weights of that convolution's input channels. Folding the mean over images in is exact, and where it would not be, it is
refused. How good the mean itself is, that is the question of the stripe observation. Zhongzhan Huang, Shanshan Zhong,
Wushao Wen, Jinghui Qin, Liang Lin: Stripe Observation Guided Inference Cost-free Attention Mechanism, ECCV 2024,
https://arxiv.org/abs/2304.06345, folds gates in the same way after training with them.
"""

import copy
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attention.backbones import Backbone
from attention.data.files import owned_name
from attention.errors import InvalidRequest, listing
from attention.gate import Gate, Slot, ablate, capture, gates, own_gates, sites, slots
from attention.models.operations import operation
from attention.reports.gates import GateSite
from attention.reports.parts.checkpoints import Card
from attention.spec import Ablation, GateKind, Pictures, Variant
from attention.storage.base import FileStore
from attention.weights.load import checkpoint_name

ALLOWED = 1e-5
"""By how much of the largest logit a folded network may differ from the one with mean gates; rounding is less."""

OTHER_KINDS: dict[GateKind, str] = {
    "spatial": "{} weighs places, which no normalisation tells apart",
    "rows": "{} weighs rows, which no normalisation tells apart",
    "columns": "{} weighs columns, which no normalisation tells apart",
    "full": "{} has a weight for every place of every channel, and a normalisation has one for every channel",
    "branch": "{} chooses between branches, so it is no factor on one of them",
    "matrix": "{} mixes places or channels, so it is no factor on any of them",
}
"""Kinds of gates that are no factor on a channel, and why."""


@dataclass(frozen=True)
class FoldableGate:
    """A gate that can be folded, and the path of the normalisation or convolution that takes it up."""

    site: GateSite
    taken_up_by: str
    channels: int


@dataclass(frozen=True)
class _Place:
    """A module of attention: one in a slot, or one of a network that was not written here."""

    module: nn.Module
    gates: Mapping[str, Gate]
    channels: int
    name: str


def _attention(model: Backbone) -> dict[str, _Place]:
    """Every module of attention by the path of what it stands in."""
    places = {
        path: _Place(slot, {f"{path}.{own}": gate for own, gate in gates(slot).items()}, slot.channels, slot.position)
        for path, slot in slots(model).items()
        if len(slot)
    }
    own_attention = own_gates(model)
    if own_attention is None:
        return places
    for path, first in own_attention.owners.items():
        owned_gates = {
            gate.path: own_attention.gates[gate.path]
            for gate in own_attention.met
            if not gate.site and gate.owner == first.owner
        }
        places[path] = _Place(model.get_submodule(path), owned_gates, first.map_shape[1], first.owner)
    return places


def foldable(model: Backbone, name: str) -> tuple[FoldableGate, ...]:
    """List the gates that can be folded, each with the normalisation or convolution that takes it up.

    It is found out by running the network on two images of noise.

    Args:
        name: what to call the network.

    Raises:
        InvalidRequest: some gates cannot be folded, or there are none; which, and why.
    """
    filled = _attention(model)
    if not filled:
        raise InvalidRequest(f"{name} has no attention, so there is nothing to fold.")
    probe = _Probe(model, filled)
    where = {site.path: site for site in sites(model)}
    foldable_gates, refused = [], dict[str, list[str]]()
    own_attention = own_gates(model)
    mixed = [gate.path for gate in own_attention.met if not gate.site and not gate.separable] if own_attention else []
    if mixed:
        refused["its block computes it beside its convolutions"] = mixed
    for path, place in filled.items():
        reason = probe.why_not(path, place)
        if reason is not None:
            refused.setdefault(reason, []).append(path)
            continue
        (gate,) = place.gates
        foldable_gates.append(
            FoldableGate(where[gate], probe.normalised.get(path) or probe.convolved[path], place.channels)
        )
    if refused:
        count, total = sum(map(len, refused.values())), len(filled) + len(mixed)
        which = "None of its attention modules can" if count == total else f"{count} of its {total} modules cannot"
        reasons = "; ".join(f"{listing(paths)}: {reason}" for reason, paths in refused.items())
        raise InvalidRequest(
            f"{name} cannot be folded exactly. {which} be worked into a normalisation or convolution: {reasons}."
        )
    return tuple(foldable_gates)


class _Probe:
    """What passes each place of a network on two images of noise, and where it comes from."""

    def __init__(self, model: Backbone, filled: Mapping[str, _Place]) -> None:
        self.arrived: dict[str, Tensor] = {}
        self.left: dict[str, Tensor] = {}
        self.normalised: dict[str, str] = {}
        """The normalisation whose output arrives at a slot as it is: path of the slot -> path of the normalisation."""
        self.changed: set[str] = set()
        """Places where a normalisation's output arrives after something changed it."""
        self.convolved: dict[str, str] = {}
        """The convolution that alone takes what leaves a place: path of the place -> path of the convolution."""
        outputs: dict[int, tuple[str, Tensor]] = {}  # what leaves places, kept for the same reason
        came_from: dict[int, tuple[str, Tensor, Tensor]] = {}  # the tensor itself is kept, so that its id stays its own

        def remember(path: str) -> Any:
            def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
                came_from[id(output)] = (path, output, output.clone())

            return hook

        def look(path: str) -> Any:
            def hook(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
                x = args[-1]  # a unit's place is called with its input, too
                self.arrived[path], self.left[path] = x.clone(), output.clone()
                outputs[id(output)] = (path, output)
                if id(x) in came_from:
                    norm, _, then = came_from[id(x)]
                    if torch.equal(x, then):
                        self.normalised[path] = norm
                    else:
                        self.changed.add(path)

            return hook

        inside = tuple(f"{path}." for path in filled)
        takers = _Takers(outputs)
        with ExitStack() as leaving, torch.no_grad(), capture(model) as captured, takers:
            for path, module in model.named_modules():
                if path in filled:
                    leaving.callback(module.register_forward_hook(look(path)).remove)
                elif type(module) is nn.BatchNorm2d and module.affine and not path.startswith(inside):
                    leaving.callback(module.register_forward_hook(remember(path)).remove)
            model(noise(model))
        self.gates = dict(captured)
        convolutions = {id(module.weight): path for path, module in model.named_modules() if type(module) is nn.Conv2d}
        for path in filled:
            weights = takers.weights.get(path, [])
            if not isinstance(filled[path].module, Slot) and len(weights) == 1 and weights[0] in convolutions:
                self.convolved[path] = convolutions[weights[0]]

    def why_not(self, path: str, place: _Place) -> str | None:
        """Why the attention in a place cannot be folded; None if it can."""
        place_gates = place.gates
        which = "its gate" if len(place_gates) == 1 else "one of its gates"
        for gate in place_gates.values():
            if gate.kind in OTHER_KINDS:
                return OTHER_KINDS[gate.kind].format(which)
            if gate.neutral != 1.0:
                return f"{which} is added, not multiplied"
        if len(place_gates) != 1:
            return f"it has {len(place_gates)} gates, and one can be folded" if place_gates else "it has no gate"
        (gate_path,) = place_gates
        weights, x = self.gates[gate_path], self.arrived[path]
        if not torch.allclose(self.left[path], x * weights, rtol=1e-4, atol=1e-5 * float(x.abs().max())):
            return "it does more than multiply by its gate"
        if path in self.convolved and path not in self.normalised:
            return None
        if path in self.changed:
            return f"at {place.name!r} an activation stands between the last normalisation and the gate"
        if path not in self.normalised:
            return f"what arrives at {place.name!r} does not come straight from a batch normalisation"
        if list(self.normalised.values()).count(self.normalised[path]) > 1:
            return "its normalisation serves several gates"
        return None


class _Takers(TorchFunctionMode):
    """Recorder of the operations that take watched tensors: the id of a convolution's weight, 0 for any other one.

    Args:
        watched: id of a tensor -> the place that it left, and the tensor.
    """

    def __init__(self, watched: Mapping[int, tuple[str, Tensor]]) -> None:
        super().__init__()
        self.weights: dict[str, list[int]] = {}
        self._watched = watched

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if isinstance(output, Tensor):
            for value in (*args, *(kwargs or {}).values()):
                path, _ = self._watched.get(id(value), (None, None))
                if path is not None and output is not value:
                    weight = args[1] if operation(func).name == "conv2d" and len(args) > 1 else None
                    self.weights.setdefault(path, []).append(0 if weight is None else id(weight))
        return output


def noise(model: Backbone) -> Tensor:
    """Two images of noise that a network takes: (2, 3, H, W)."""
    drawn = torch.randn(2, 3, *model.height_and_width, generator=torch.Generator().manual_seed(0))
    return drawn.to(next(model.parameters()))


def fold(
    model: Backbone, plain: Backbone, places: Iterable[FoldableGate], ablation: Ablation, means: Mapping[str, Tensor]
) -> Backbone:
    """Work mean gates into the layers of a plain network, so that it computes what the network with attention does.

    Args:
        plain: the same backbone without attention, whose weights are overwritten. Modules of attention of a network
            that was not written here are taken out of it.
        ablation: of kind ``mean``, of all gates.
        means: path of each gate -> its weights (1, C, 1, 1).

    Raises:
        InvalidRequest: the two do not give the same on noise, in double precision.
    """
    if (own_attention := own_gates(plain)) is not None:
        for path in own_attention.owners:
            plain.set_submodule(path, nn.Identity())
        plain.own_gates = None  # type: ignore[assignment]
    inside = tuple(f"{path}." for path in _attention(model))
    plain.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith(inside)})
    with torch.no_grad():
        for place in places:
            layer, factor = plain.get_submodule(place.taken_up_by), means[place.site.path].flatten().double()  # (C)
            if isinstance(layer, nn.Conv2d):
                _scale_inputs(layer, factor)
                continue
            for parameter in (layer.get_parameter("weight"), layer.get_parameter("bias")):
                parameter.copy_(parameter.double() * factor.to(parameter.device))
        exact, folded = copy.deepcopy(model).double(), copy.deepcopy(plain).double()
        with ablate(exact, ablation, means):
            truth = exact(noise(exact))
        error = difference(folded(noise(folded)), truth)
    if not error <= ALLOWED:
        raise InvalidRequest(
            f"The folded network would not be the same: on noise its logits differ by {error:.1e} of the largest. Its "
            "normalisations are read by more than their gates."
        )
    return plain


def _scale_inputs(convolution: nn.Conv2d, factor: Tensor) -> None:
    """Multiply what a convolution makes of each of its input channels by a factor (C)."""
    weight = convolution.weight  # (O, C / groups, h, w)
    by_group = weight.double().view(convolution.groups, -1, *weight.shape[1:])  # (groups, O / groups, C / groups, h, w)
    factors = factor.to(weight.device).view(convolution.groups, 1, -1, 1, 1)
    weight.copy_((by_group * factors).view_as(weight))


def fold_model(model: Backbone, images: Tensor) -> Backbone:
    """A copy of a network whose gates are their means over images, worked into its other layers; attention is gone.

    Of a model of one's own, ``fold_model(build(variant), images).body`` is the model without its modules of attention.

    Args:
        model: as `attention.build.build` gives it.
        images: as the network takes them, (N, 3, S, S).

    Raises:
        InvalidRequest: some gates cannot be folded, or there are none; which, and why.
    """
    places, plain = foldable(model, type(model).__name__), copy.deepcopy(model)
    for slot in slots(plain).values():
        del slot[:]
    with torch.no_grad(), capture(model) as weights:
        model(images)
    means = {path: gate.mean(0, keepdim=True) for path, gate in weights.items()}
    mean = Ablation(kind="mean", reference=Pictures(images=("reference",)))  # the weights themselves are given
    return fold(model, plain, places, mean, means)


def difference(one: Tensor, truth: Tensor) -> float:
    """Largest difference between logits, by the largest logit."""
    return float((one - truth).abs().max() / truth.abs().max().clamp_min(1e-12))


def keep(
    model: nn.Module, variant: Variant, card: Card | None, file_store: FileStore, owner: str = ""
) -> tuple[Variant, int]:
    """Write a folded network where ``file:NAME`` finds it, under a name made of its contents and of its owner.

    Returns:
        the network as a variant that can be used at once, and the checkpoint's size in bytes.

    Raises:
        StorageFailed: it cannot be written.
    """
    data = to_safetensors({key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()})
    about = b"" if card is None else card.model_copy(update={"date": ""}).model_dump_json().encode()
    plain = checkpoint_name(variant).replace("=", "")[:120]  # in a variant's name the sign would have to be escaped
    name = owned_name(f"{plain}-folded-{hashlib.sha256(data + about).hexdigest()[:16]}", owner)
    if card is not None:  # first, for the network is there as soon as its weights are
        file_store.write(f"checkpoints/{name}.json", card.model_dump_json(indent=1).encode() + b"\n")
    file_store.write(f"checkpoints/{name}.safetensors", data)
    return variant.model_copy(update={"weights": f"file:{name}"}), len(data)
