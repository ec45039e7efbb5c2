"""What any model costs: its ledger for one pass, with the share of the attention that was found in it.

The model is copied onto the meta device, where tensors have shapes and no numbers, so counting takes no memory and
never changes it. A model whose own numbers decide its way, such as a detector, is run as it is instead.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from attention.counting.conventions import counts
from attention.counting.cost import layer_cost, sum_of
from attention.counting.ledger import Ledger
from attention.counting.rules import SHAPES
from attention.gate import slots
from attention.mechanisms import UNITS
from attention.models.one_pass import meta_copy, on_meta
from attention.reports.cost import ModelCost
from attention.reports.gates import ROOT, WatchedGates
from attention.spec import GateKind
from attention.tracing.attached import AttachedModules
from attention.tracing.example import Inputs, at_rest, inputs, written
from attention.tracing.hooks import unwrap
from attention.tracing.paths import stored_paths
from attention.watch import watch


def count(
    model: nn.Module,
    input_size: Any = None,
    *,
    layers: bool = False,
    gates: Mapping[str, GateKind] | None = None,
) -> ModelCost:
    """Count parameters, multiply-accumulates, other work and bytes of any model for one pass.

    Args:
        input_size: a side, a size (C, H, W), or inputs as `attention.watch` takes them; the model's own size if None.
        layers: whether to list every operation.
        gates: submodules whose outputs are gates, as for `attention.watch`.

    Raises:
        InvalidRequest: the model is scripted or quantised, or does not take such an input.
    """
    root = unwrap(model)
    call = inputs(root, input_size)
    try:
        on_no_device = tuple(map(on_meta, call[0])), on_meta(call[1])
        ledger, watched = _walk(meta_copy(root), on_no_device, gates, numbers=False)
        device = "meta"
    except Exception:  # whatever stops it without numbers may not stop it with them; if it does, that is told
        ledger, watched = _walk(root, call, gates, numbers=True)
        device = str(next((parameter.device for parameter in root.parameters()), "cpu"))
    return _bill(type(root).__name__, call, device, ledger, watched, layers)


def _tensors(value: Any) -> Iterator[Tensor]:
    """Every tensor in a value of lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _tensors(part)


def _walk(
    model: nn.Module, call: Inputs, gates: Mapping[str, GateKind] | None, numbers: bool
) -> tuple[Ledger, WatchedGates]:
    """The filled ledger of one pass, and the gates that it met."""
    watched = watch(model, call[1] or call[0], gates=gates)
    ledger = Ledger(model, {} if numbers else SHAPES, _owners(model, watched), numbers)
    try:
        with at_rest(model), ledger.following():
            for tensor in _tensors(call):
                ledger.receive(tensor)
            with ledger:
                model(*call[0], **call[1])
        ledger.close()
    finally:
        ledger.forget()
        for tensor in _tensors(call):
            tensor.__dict__.pop("memory", None)
    return ledger, watched


def _owners(model: nn.Module, watched: WatchedGates) -> set[str]:
    """Paths of the modules whose operations are attention's."""
    filled = {path for path, slot in slots(model).items() if len(slot)}
    attached = {
        f"{name}.{key}"
        for name, container in model.named_children()
        if isinstance(container, AttachedModules)
        for key in container
    }
    stored = stored_paths(model)
    return filled | attached | {stored[gate.owner] for gate in watched if gate.separable}


def _bill(model: str, call: Inputs, device: str, ledger: Ledger, watched: WatchedGates, layers: bool) -> ModelCost:
    mixed = tuple(dict.fromkeys(gate.owner or ROOT for gate in watched if not gate.separable))
    return ModelCost(
        model=model,
        example=written(*call),
        device=device,
        total=sum_of(ledger.rows),
        attention=None if mixed else sum_of(row for row in ledger.rows if row.attention),
        gates=len(watched),
        units=tuple(dict.fromkeys(gate.owner for gate in watched if gate.mechanism in UNITS)),
        not_separable=mixed,
        peak_activation_bytes=ledger.peak_bytes,
        conventions=() if mixed else counts(ledger.rows),
        not_counted=tuple(sorted(ledger.not_counted)),
        layers=tuple(map(layer_cost, ledger.rows)) if layers else None,
    )
