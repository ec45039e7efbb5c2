"""Constant and saturated gates and dead hidden units of any model, from the passes of some images through it.

A gate's unit is constant if its weight, at each place that it has one for, varies over images by less than a hundredth
of the gate's root mean square. A weight below 0.1 or above 0.9 is saturated, which is asked only of gates that multiply
by weights of [0, 1] or choose a branch; that the last gates of SE-ResNet-50 are, is said in "Role of excitation" of
https://arxiv.org/abs/1709.01507. The bounds are ours. A hidden unit is dead if its ReLU is shut for every image.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from attention.measuring.channel_gates import HIGH, LOW, REDUCED, Entries, per_channel
from attention.measuring.moments import Moments
from attention.reports.diagnose import GateHealth, LayerHealth
from attention.reports.gates import WatchedGate, WatchedGates
from attention.spec import GateKind
from attention.watch import capture, watch

CONSTANT = 0.01
"""Standard deviation over images, as a share of the gate's root mean square, below which a unit counts as constant."""

RELUS = (F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_)


class GateWatch:
    """Statistics of the gates and hidden units of a model while images pass through it.

    Args:
        model: in eval mode, on the device of the images.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._gates: WatchedGates | None = None
        self._moments: dict[str, _GateMoments] = {}
        self._fired: dict[str, Tensor] = {}

    @torch.no_grad()
    def see(self, images: Tensor) -> Any:
        """Run some images (B, 3, H, W), keep what their gates did, and give what the model gave."""
        if self._gates is None:
            self._gates = watch(self._model, images[:1])
            self._moments = {gate.path: _GateMoments(gate) for gate in self._gates}
        with capture(self._model, gates=self._gates) as weights, self._hidden(self._gates):
            output = self._model(images)
        for path, moments in self._moments.items():
            moments.add(weights[path])
        return output

    def gates(self) -> tuple[GateHealth, ...]:
        """Every gate over the images so far."""
        return tuple(moments.health(path) for path, moments in self._moments.items())

    def layers(self) -> tuple[LayerHealth, ...]:
        """Every layer before a ReLU over the images so far."""
        return tuple(
            LayerHealth(layer=path, units=len(fired), dead=tuple((~fired).nonzero().flatten().tolist()))
            for path, fired in self._fired.items()
        )

    @contextmanager
    def _hidden(self, gates: WatchedGates) -> Iterator[None]:
        """Keep which units pass their ReLU, of layers in the modules that own gates."""
        produced: dict[int, tuple[str, Tensor]] = {}

        def keep(path: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(_: nn.Module, __: Any, output: Any) -> None:
                if isinstance(output, Tensor):
                    produced[id(output)] = (path, output)  # kept, so that no other tensor gets its id

            return hook

        with ExitStack() as leaving:
            for path, layer in _layers(self._model, gates).items():
                leaving.callback(layer.register_forward_hook(keep(path)).remove)
            leaving.enter_context(_Relus(lambda tensor, result: self._passed(produced.get(id(tensor)), result)))
            yield

    def _passed(self, produced: tuple[str, Tensor] | None, result: Tensor) -> None:
        if produced is None or result.dim() < 2:
            return
        path, fired = produced[0], (result > 0).transpose(0, 1).flatten(1).any(1).cpu()  # (units,)
        self._fired[path] = fired | self._fired[path] if path in self._fired else fired


class _Relus(TorchFunctionMode):
    """Inside it every ReLU says what it was given and what it gave."""

    def __init__(self, say: Callable[[Tensor, Tensor], None]) -> None:
        super().__init__()
        self._say = say

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in RELUS and args:
            self._say(args[0], result)
        return result


class _GateMoments:
    """Moments over images, and smallest and largest weight, of each unit of one gate."""

    def __init__(self, gate: WatchedGate) -> None:
        self.kind: GateKind = gate.kind
        # Softmax over places shares out 1, and what is added has no bounds: small weights are no saturation there.
        self.opens = gate.neutral == 1 or gate.kind == "branch"
        self.entries = Entries()
        self.moments: Moments | None = None
        self.least = self.most = np.empty(0)

    def add(self, weights: Tensor) -> None:
        """Add the weights (B, ...) of some images."""
        self.entries.add(weights)
        values = _units(weights, self.kind).double().cpu().numpy()  # (B, units, places of each)
        means = values.mean(2)
        more, least, most = Moments.of(values), means.min(0), means.max(0)
        first = self.moments is None
        self.moments = more if self.moments is None else self.moments + more
        self.least = least if first else np.minimum(self.least, least)
        self.most = most if first else np.maximum(self.most, most)

    def health(self, path: str) -> GateHealth:
        """What may be said of the gate."""
        entries, moments = self.entries, self.moments
        assert moments is not None and entries.moments is not None
        spread = np.sqrt(moments.variance.mean(1))  # (units,): of a channel at one place, whatever its mean does
        size = float(np.sqrt(entries.moments.variance + np.square(entries.moments.mean)))
        bounded = self.opens and entries.least >= 0 and entries.most <= 1
        saturated = bounded & ((self.most < LOW) | (self.least > HIGH))
        return GateHealth(
            gate=path,
            kind=self.kind,
            units=len(spread),
            mean=float(entries.moments.mean),
            std_over_images=float(spread.mean()),
            share_low=entries.low / entries.moments.count,
            share_high=entries.high / entries.moments.count,
            constant=tuple(np.flatnonzero(spread <= CONSTANT * size).tolist()),
            saturated=tuple(np.flatnonzero(saturated).tolist()),
        )


def _units(weights: Tensor, kind: GateKind) -> Tensor:
    """Weights (B, ...) of a gate by unit, (B, units, places): channels with their places, or places alone."""
    if kind == "branch":
        return per_channel(weights, kind).unsqueeze(2)
    return weights.flatten(2) if kind in REDUCED else weights.flatten(1).unsqueeze(2)


def _layers(model: nn.Module, gates: WatchedGates) -> dict[str, nn.Module]:
    """Modules without children inside those that own a gate and do nothing but attention, by path."""
    modules = dict(model.named_modules())
    owners = {_owner(gate) for gate in gates if gate.separable}
    return {
        path: module
        for path, module in modules.items()
        if any(path.startswith(f"{owner}.") for owner in owners) and not any(True for _ in module.children())
    }


def _owner(gate: WatchedGate) -> str:
    """Path of the module that a gate is of: the parent of a gate of ours, the multiplying module of any other's."""
    return gate.path.rpartition(".")[0] if gate.site else gate.owner
