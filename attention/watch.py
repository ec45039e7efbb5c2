"""The gates of any model: found by following one forward pass, seen by `capture`, replaced by `ablate`.

found = watch(model)                              # what there is
with capture(model) as gates:                     # gate path -> weights
    model(images)
with ablate(model, "mean", at="layer4", reference=gates):
    model(images)                                 # as if these gates did not depend on the image
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, get_args, overload

from pydantic import ValidationError
from torch import Tensor, nn

from attention.errors import AttentionError, InvalidRequest
from attention.gate import Gate, replacement
from attention.reports.gates import WatchedGate, WatchedGates
from attention.spec import REFERRING, Ablation, AblationKind, GateKind, Pictures
from attention.tracing import paths
from attention.tracing.example import at_rest, inputs, refusal, written
from attention.tracing.hooks import tracing, unwrap
from attention.tracing.passes import Summary

Pointed = Mapping[str, GateKind] | WatchedGates
"""Submodules by pattern whose outputs are gates, with their kind; or what `watch` gave, for the same ones."""


def watch(
    model: nn.Module,
    example: Any = None,
    *,
    gates: Mapping[str, GateKind] | None = None,
    names: Mapping[str, str] | None = None,
) -> WatchedGates:
    """Find the gates of any model in one forward pass, in eval mode and without gradients.

    Args:
        example: a tensor, a tuple or dictionary of inputs, a list that is the one input, a size (C, H, W), or a side;
            a grey image of the model's own size if None.
        gates: patterns of submodules whose outputs are gates, with their kind, whatever else is found.
        names: class name -> mechanism, beside those known.

    Raises:
        InvalidRequest: the model is scripted or quantised, or does not take the example.
    """
    root = unwrap(model)
    args, kwargs = inputs(root, example)
    finder = _Finder()
    with tracing(root, finder, gates or {}) as traced:
        try:
            with at_rest(root):
                root(*args, **kwargs)
        except AttentionError:
            raise
        except Exception as error:
            raise InvalidRequest(refusal(args, kwargs, error)) from error
    summary = finder.summary
    if summary is None:
        raise InvalidRequest(f"{type(root).__name__} gave None. Let its forward return what it computes.")
    if summary.quantised:
        summary.check()
    return WatchedGates(
        model=summary.model,
        example=written(args, kwargs),
        gates=tuple(_renamed(gate, names or {}) for gate in summary.gates),
        unclear=tuple(summary.unclear.values()),
        not_visible=tuple(traced.not_visible),
        pointed=tuple((gates or {}).items()),
        sentence="" if summary.gates else summary.no_gates(),
    )


@overload
def capture(
    model: nn.Module, images: None = None, *, gates: Pointed | None = None
) -> AbstractContextManager[dict[str, Tensor]]: ...
@overload
def capture(model: nn.Module, images: Any, *, gates: Pointed | None = None) -> dict[str, Tensor]: ...
def capture(model: nn.Module, images: Any = None, *, gates: Pointed | None = None) -> Any:
    """Collect the weights of every gate by path, detached copies in their smallest form.

    Without images it is a context manager, and collects during the passes inside the block; a later pass overwrites.
    With images (a batch, or whatever `watch` takes as an example) it makes the pass, in eval mode, and gives the gates.

    Entered inside `ablate` it sees the replaced weights, entered before it the untouched ones.

    Raises:
        InvalidRequest: a pass met no gate, or no pass was made.
    """
    if images is None:
        return _capturing(model, gates)
    root = unwrap(model)
    args, kwargs = inputs(root, images)
    with _capturing(root, gates) as weights, at_rest(root):
        root(*args, **kwargs)
    return weights


@contextmanager
def ablate(
    model: nn.Module,
    ablation: Ablation | AblationKind,
    reference: Mapping[str, Tensor] | None = None,
    *,
    at: str | tuple[str, ...] | list[str] | None = None,
    value: float = 0.5,
    seed: int = 0,
    gates: Pointed | None = None,
) -> Iterator[None]:
    """Replace gates during the forward passes inside the block, each image as if it were alone.

    Args:
        ablation: by what, as a kind or in full.
        reference: gate path -> weights of reference images (N, ...), as `capture` gives them. Kind ``mean`` puts in
            their mean, kind ``other_image`` those of one of them, chosen by the seed.
        at: paths, prefixes or patterns of gates; all if None.
        value: of kind ``constant``.
        seed: of kinds ``shuffle`` and ``other_image``.
        gates: as for `watch`.

    Raises:
        InvalidRequest: a path names no gate, a gate has no neutral weight or no fitting reference, or there is no gate.
    """
    request = _asked(ablation, at, value, seed)
    paths.check(unwrap(model), request.gates or ())
    with tracing(model, _Replacer(request, reference or {}), _pointed(gates)):
        yield


class _Finder:
    """Visitor that only looks."""

    summary: Summary | None = None

    def visit(self, gate: WatchedGate, weights: Tensor) -> None:
        pass

    def passed(self, summary: Summary) -> None:
        self.summary = summary


class _Collector:
    """Visitor that keeps copies of the weights."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self.weights: dict[str, Tensor] = {}
        self.passes = 0
        self._known = known

    def visit(self, gate: WatchedGate, weights: Tensor) -> None:
        self.weights[gate.path] = weights.detach().clone()

    def passed(self, summary: Summary) -> None:
        self.passes += 1
        if self._known and not summary.gates:
            raise InvalidRequest(
                f"The pass inside the block met none of the {len(self._known)} gates known; its way through the model "
                "was another one."
            )
        summary.check()


class _Replacer:
    """Visitor that puts other weights in."""

    def __init__(self, ablation: Ablation, reference: Mapping[str, Tensor]) -> None:
        self._ablation = ablation
        self._reference = {path: self._choose(weights) for path, weights in reference.items()}
        self._met: set[str] = set()

    def _choose(self, weights: Tensor) -> Tensor:
        if self._ablation.kind == "mean":
            return weights.mean(0, keepdim=True)
        number = self._ablation.seed % len(weights)
        return weights[number : number + 1]

    def visit(self, gate: WatchedGate, weights: Tensor) -> Tensor | None:
        patterns = self._ablation.gates or ("**",)
        named = {pattern for pattern in patterns if paths.covers(pattern, gate.path)}
        self._met |= named
        if not named:
            return None
        stand_in = Gate(gate.kind, gate.neutral)
        stand_in.axis = gate.axis
        return replacement(gate.path, stand_in, self._ablation, self._reference)(weights)

    def passed(self, summary: Summary) -> None:
        summary.check()
        for pattern in self._ablation.gates or ():
            if pattern not in self._met:
                first = ", ".join(gate.path for gate in summary.gates[:4])
                raise InvalidRequest(f"There is no gate at {pattern!r} in this model. Its gates: {first}.")


@contextmanager
def _capturing(model: nn.Module, gates: Pointed | None) -> Iterator[dict[str, Tensor]]:
    collector = _Collector(gates.paths if isinstance(gates, WatchedGates) else ())
    with tracing(model, collector, _pointed(gates)):
        yield collector.weights
    if not collector.passes and not collector.weights:
        raise InvalidRequest("No forward pass of this model ran inside the block.")


def _pointed(gates: Pointed | None) -> Mapping[str, GateKind]:
    return dict(gates.pointed) if isinstance(gates, WatchedGates) else gates or {}


def _asked(ablation: Ablation | AblationKind, at: Any, value: float, seed: int) -> Ablation:
    if isinstance(ablation, Ablation):
        return ablation
    if ablation not in get_args(AblationKind):
        raise InvalidRequest(f"{ablation!r} is no kind of ablation; there is {', '.join(get_args(AblationKind))}.")
    images = Pictures(images=("reference",)) if ablation in REFERRING else None  # the weights themselves are given
    places = None if at is None else paths.several(at)
    try:
        return Ablation(kind=ablation, gates=places, value=value, seed=seed, reference=images)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InvalidRequest(f"An ablation cannot take {fault['loc'][0]}={fault['input']!r}: {fault['msg']}.") from None


def _renamed(gate: WatchedGate, names: Mapping[str, str]) -> WatchedGate:
    if gate.module not in names:
        return gate
    return WatchedGate(**{**gate.__dict__, "mechanism": names[gate.module]})
