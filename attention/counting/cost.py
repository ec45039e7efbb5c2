"""What a variant costs: its ledger added up, for the network, for each attention module, and in every convention.

A throw-away copy of the network is made on the meta device and one image's shape is sent through it, so counting needs
no weights and no arithmetic and never changes a model.
"""

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import cast

from attention.build import input_size as own_input_size
from attention.build import renamed, resolve, skeleton
from attention.counting.conventions import counts
from attention.counting.ledger import CountedOperation, Ledger, walk
from attention.errors import InvalidRequest
from attention.gate import Gate
from attention.names import Size, height_and_width, write_size
from attention.reports.cost import Cost, GateShape, LayerCost, ModuleCost, VariantCost
from attention.spec import Variant

CONVENTION = (
    "One image. MACs: multiply-accumulates of convolutions and matrix products; a bias adds none. Elementwise: one for "
    "each entry written by activations, normalisations, products and sums. Pooling: one for each entry read. "
    "Bytes: float32, every operation reads its inputs and weights and writes its output, nothing fused; copies count. "
    "Activation bytes: outputs written to new memory; views and results written in place take none. "
    "Parameters: trainable numbers; running statistics and other fixed numbers are buffers."
)


def count(variant: Variant, input_size: Size | None = None, layers: bool = False) -> VariantCost:
    """The bill of a variant for one image.

    Args:
        input_size: side, or height and width, in pixels; the backbone's own if None.
        layers: whether to list every operation.

    Raises:
        AttentionError: the variant cannot be built, or cannot take an image of this size.
    """
    full, notes = resolve(variant), renamed(variant)
    bill, rows = _count(_counted(full), input_size or own_input_size(full.backbone))
    listed = tuple(map(layer_cost, rows)) if layers else None
    return bill.model_copy(update={"name": full.name, "variant": full, "layers": listed, "notes": notes})


def rows_of(variant: Variant, input_size: Size | None = None) -> tuple[CountedOperation, ...]:
    """The ledger itself: every operation of a variant on one image, in order."""
    full = resolve(variant)
    return _count(_counted(full), input_size or own_input_size(full.backbone))[1]


@lru_cache(maxsize=4096)
def _counted(variant: Variant) -> Variant:
    """What of a variant matters to its cost."""
    return variant.model_copy(update={"weights": None, "seed": 0})


@lru_cache(maxsize=1024)
def _count(variant: Variant, size: Size) -> tuple[VariantCost, tuple[CountedOperation, ...]]:
    try:
        ledger = walk(skeleton(variant), 3, *height_and_width(size))
    except (RuntimeError, ValueError, AssertionError) as error:
        own, reason = own_input_size(variant.backbone), str(error).rstrip(".")
        made = "" if size == own else f" It is made for {write_size(own)}."
        raise InvalidRequest(
            f"{variant.name} cannot take an image of {write_size(size)} pixels: {reason}.{made}"
        ) from error
    attention = sum_of(row for row in ledger.rows if row.attention)
    total = sum_of(ledger.rows)
    bill = VariantCost(
        name=variant.name,
        variant=variant,
        input_size=size,
        buffers=total.buffers,
        total=total,
        attention=attention,
        # An unfilled slot is the identity, so what runs outside the slots is the plain twin.
        delta=attention,
        peak_activation_bytes=ledger.peak_bytes,
        modules=sum(len(slot) for slot in ledger.slots.values()),
        attention_modules=_modules(ledger),
        conventions=counts(ledger.rows),
        not_counted=tuple(sorted(ledger.not_counted)),
    )
    return bill, tuple(ledger.rows)


def _modules(ledger: Ledger) -> tuple[ModuleCost, ...]:
    """What each slot that is filled costs."""
    own: dict[str, list[CountedOperation]] = {path: [] for path, slot in ledger.slots.items() if len(slot)}
    shapes: dict[str, list[GateShape]] = {path: [] for path in own}
    for row in ledger.rows:
        if row.attention:
            own[_slot_of(row.layer, own)].append(row)
    for path, shape in ledger.gate_shapes.items():
        kind = cast(Gate, ledger.modules[path]).kind
        shapes[_slot_of(path, own)].append(GateShape(path=path, kind=kind, shape=shape))
    return tuple(
        ModuleCost(
            path=path,
            position=slot.position,
            stage=slot.stage,
            block=slot.block,
            channels=slot.channels,
            gates=tuple(shapes[path]),
            cost=sum_of(own[path]),
        )
        for path, slot in ledger.slots.items()
        if path in own
    )


def _slot_of(path: str, known: Collection[str]) -> str:
    """The slot that a path is in."""
    while path not in known:
        path = path.rpartition(".")[0]
    return path


def sum_of(rows: Iterable[CountedOperation]) -> Cost:
    """Totals of some rows."""
    amounts = map(sum, zip(*(row.amounts for row in rows), strict=True))
    return Cost(**dict(zip(Cost.model_fields, amounts, strict=False)))


def layer_cost(row: CountedOperation) -> LayerCost:
    """A row as plain data."""
    return LayerCost(**{field: getattr(row, field) for field in LayerCost.model_fields})
