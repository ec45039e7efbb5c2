"""What a variant costs: its ledger added up, for the network, for each attention module, and in every convention.

A throw-away copy of the network is made on the meta device and one image's shape is sent through it, so counting needs
no weights and no arithmetic and never changes a model.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from typing import cast

from attention.build import renamed, resolve, skeleton, usual_size
from attention.counting.conventions import counts
from attention.counting.ledger import CountedOperation, Ledger, walk
from attention.errors import InvalidRequest, listing
from attention.gate import Gate, OwnGates, own_gates, slots
from attention.models.own_models import renewed
from attention.names import Size, height_and_width, write_size
from attention.reports.cost import Cost, GateShape, LayerCost, ModuleCost, VariantCost
from attention.spec import Variant

CONVENTION = (
    "One image. MACs: multiply-accumulates of convolutions and matrix products; a bias adds none. Elementwise: one for "
    "each entry written by activations, normalisations, products and sums. Pooling: one for each entry read. "
    "Bytes: float32, every operation reads its inputs and weights and writes its output, nothing fused; copies count. "
    "Activation bytes: outputs written to new memory; views and results written in place take none. "
    "Parameters: trainable numbers, frozen ones too; running statistics and other fixed numbers are buffers."
)


def count(variant: Variant, input_size: Size | None = None, layers: bool = False) -> VariantCost:
    """The bill of a variant for one image.

    Args:
        input_size: side, or height and width, in pixels; the backbone's own if None.
        layers: whether to list every operation.

    Raises:
        AttentionError: the variant cannot be built, or cannot take an image of this size.
    """
    full = resolve(variant)
    bill, rows = _count(_counted(full), input_size or usual_size(full))
    listed = tuple(map(layer_cost, rows)) if layers else None
    notes = (*renamed(variant), *bill.notes)
    return bill.model_copy(update={"name": full.name, "variant": full, "layers": listed, "notes": notes})


def rows_of(variant: Variant, input_size: Size | None = None) -> tuple[CountedOperation, ...]:
    """The ledger itself: every operation of a variant on one image, in order."""
    full = resolve(variant)
    return _count(_counted(full), input_size or usual_size(full))[1]


@lru_cache(maxsize=4096)
def _counted(variant: Variant) -> Variant:
    """What of a variant matters to its cost."""
    return variant.model_copy(update={"weights": None, "seed": 0})


@renewed
@lru_cache(maxsize=1024)
def _count(variant: Variant, size: Size) -> tuple[VariantCost, tuple[CountedOperation, ...]]:
    try:
        network = skeleton(variant)
        own_attention = own_gates(network)
        inside = [path for path, slot in slots(network).items() if len(slot)] + [
            *(own_attention.owners if own_attention else ())
        ]
        ledger = walk(network, 3, *height_and_width(size), attention=inside)
    except (RuntimeError, ValueError, AssertionError) as error:
        usual, reason = usual_size(variant), str(error).rstrip(".")
        made = "" if size == usual else f" It is made for {write_size(usual)}."
        raise InvalidRequest(
            f"{variant.name} cannot take an image of {write_size(size)} pixels: {reason}.{made}"
        ) from error
    attention = sum_of(row for row in ledger.rows if row.attention)
    modules = (*_modules(ledger), *(_own_modules(ledger, own_attention) if own_attention else ()))
    total = sum_of(ledger.rows)
    bill = VariantCost(
        name=variant.name,
        variant=variant,
        input_size=size,
        buffers=total.buffers,
        total=total,
        attention=attention,
        # An unfilled slot is the identity, so what runs outside the slots is the plain twin.
        delta=sum_of(row for row in ledger.rows if row.attention and _slot_of(row.layer, ledger.slots)),
        peak_activation_bytes=ledger.peak_bytes,
        modules=sum(len(slot) for slot in ledger.slots.values()) + (len(own_attention.owners) if own_attention else 0),
        attention_modules=modules,
        conventions=counts(ledger.rows),
        not_counted=tuple(sorted(ledger.not_counted)),
        notes=_mixed(own_attention) if own_attention else (),
    )
    return bill, tuple(ledger.rows)


def _modules(ledger: Ledger) -> tuple[ModuleCost, ...]:
    """What each slot that is filled costs."""
    rows_by_slot: dict[str, list[CountedOperation]] = {path: [] for path, slot in ledger.slots.items() if len(slot)}
    shapes: dict[str, list[GateShape]] = {path: [] for path in rows_by_slot}
    for row in ledger.rows:
        if row.attention and (slot_path := _slot_of(row.layer, rows_by_slot)):
            rows_by_slot[slot_path].append(row)
    for path, shape in ledger.gate_shapes.items():
        kind = cast(Gate, ledger.modules[path]).kind
        shapes[_slot_of(path, rows_by_slot)].append(GateShape(path=path, kind=kind, shape=shape))
    return tuple(
        ModuleCost(
            path=path,
            position=slot.position,
            stage=slot.stage,
            block=slot.block,
            channels=slot.channels,
            gates=tuple(shapes[path]),
            cost=sum_of(rows_by_slot[path]),
        )
        for path, slot in ledger.slots.items()
        if path in rows_by_slot
    )


def _slot_of(path: str, slot_paths: Collection[str]) -> str:
    """Which of some paths a path is or lies in; empty for none."""
    while path and path not in slot_paths:
        path = path.rpartition(".")[0]
    return path


def _own_modules(ledger: Ledger, own_attention: OwnGates) -> Iterator[ModuleCost]:
    """What each module of attention in the code of a network costs."""
    for path, first in own_attention.owners.items():
        place = own_attention.places[first.path]
        gates = [gate for gate in own_attention.met if gate.site is None and gate.owner == first.owner]
        yield ModuleCost(
            path=first.owner,
            stage=place.stage,
            block=place.block,
            channels=first.map_shape[1],
            gates=tuple(GateShape(path=gate.path, kind=gate.kind, shape=(1, *gate.shape[1:])) for gate in gates),
            cost=sum_of(row for row in ledger.rows if _slot_of(row.layer, (path,))),
        )


def _mixed(own_attention: OwnGates) -> tuple[str, ...]:
    """A sentence on gates whose cost cannot be told from their block's; none if there is no such gate."""
    mixed = [gate.path for gate in own_attention.met if gate.site is None and not gate.separable]
    if not mixed:
        return ()
    return (f"Gates that blocks compute beside their convolutions are not in the attention's share: {listing(mixed)}.",)


def sum_of(rows: Iterable[CountedOperation]) -> Cost:
    """Totals of some rows."""
    amounts = map(sum, zip(*(row.amounts for row in rows), strict=True))
    return Cost(**dict(zip(Cost.model_fields, amounts, strict=False)))


def layer_cost(row: CountedOperation) -> LayerCost:
    """A row as plain data."""
    return LayerCost(**{field: getattr(row, field) for field in LayerCost.model_fields})
