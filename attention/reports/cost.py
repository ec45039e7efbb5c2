"""Cost's question and answer, as plain data: the bill of a network, counted by formula and shape."""

from typing import ClassVar, Literal

from pydantic import Field

from attention.names import Size, short_size, write_size
from attention.reports.writing.tables import Bars, Printed, Report, Table, listed, named
from attention.spec import GateKind, Plain, Position, Request, Variant

INPUT_SIZE = "Side of the input in pixels, or [height, width]; None is the network's own."


class LayerCost(Plain):
    """What one operation of the network costs, for one image."""

    layer: str = Field(description="Path of the module that ran the operation.")
    operation: str = Field(description="The operation; 'unused' for parameters that none has read.")
    attention: bool = Field(description="Whether it belongs to an attention module.")
    shape: tuple[int, ...] = Field(description="Shape of its output, batch of one.")
    parameters: int = Field(description="Trainable parameters it uses for the first time.")
    buffers: int = Field(default=0, description="Numbers kept but not trained that it uses for the first time.")
    macs: int = Field(description="Multiply-accumulates, if it is a convolution or matrix product.")
    elementwise: int = Field(description="Entries written by work that is neither multiply-accumulates nor pooling.")
    pooling: int = Field(default=0, description="Entries read, if it is pooling.")
    bytes: int = Field(description="Bytes read and written in float32, weights included, if nothing is fused.")
    activation_bytes: int = Field(default=0, description="Bytes of its output in float32; 0 if it is not new memory.")


class Cost(Plain):
    """Totals of one part of a network, for one image."""

    parameters: int = Field(default=0, description="Trainable parameters.")
    buffers: int = Field(default=0, description="Numbers kept but not trained (running statistics).")
    macs: int = Field(default=0, description="Multiply-accumulates of convolutions and matrix products.")
    elementwise: int = Field(
        default=0, description="Entries written by activations, normalisations, products and sums."
    )
    pooling: int = Field(default=0, description="Entries read by pooling.")
    bytes: int = Field(
        default=0, description="Bytes read and written in float32, weights included, if nothing is fused."
    )
    activation_bytes: int = Field(
        default=0, description="Bytes of all outputs in float32: what training keeps at most for one image."
    )


class GateShape(Plain):
    """A gate and how many weights it holds."""

    path: str = Field(description="Path of the gate in the network.")
    kind: GateKind = Field(description="What its entries run over.")
    shape: tuple[int, ...] = Field(description="Shape of its weights, batch of one; empty if it has not run.")


class ModuleCost(Plain):
    """What the attention in one place of the network costs, for one image."""

    path: str = Field(description="Path of the place.")
    position: Position | None = Field(
        default=None, description="Where in the block or network it is; null in the code of a network not written here."
    )
    stage: int = Field(description="Stage of the backbone, counted from 1.")
    block: int = Field(description="Block within the stage, counted from 1.")
    channels: int = Field(description="Channels of the map that arrives.")
    gates: tuple[GateShape, ...] = Field(description="Its gates.")
    cost: Cost = Field(description="The module alone.")


class ConventionRule(Plain):
    """A way to count parameters and work, in words."""

    name: str = Field(description="Short name of the convention.")
    rule: str = Field(description="What counts as one.")
    source: str = Field(description="Who counts so.")


class ConventionCount(Plain):
    """A network's parameters, or its work for one image, in one convention."""

    name: str = Field(description="Short name of the convention.")
    quantity: Literal["parameters", "work"] = Field(description="What was counted.")
    unit: str = Field(description="What the numbers are in.")
    source: str = Field(description="Who counts so.")
    total: float = Field(description="The whole network.")
    attention: float = Field(description="The attention modules alone.")
    delta: float = Field(description="The whole network minus its plain twin.")


class VariantCost(Plain):
    """The cost of one network: parameters, work and memory, with the attention's share."""

    name: str = Field(description="Canonical short name.")
    variant: Variant = Field(description="The same as an object.")
    input_size: Size = Field(description="Side of the input, or height and width, pixels.")
    buffers: int = Field(description="Numbers kept but not trained (running statistics).")
    total: Cost = Field(description="The whole network.")
    attention: Cost = Field(description="The attention modules alone.")
    delta: Cost = Field(description="The whole network minus its plain twin.")
    peak_activation_bytes: int = Field(
        default=0,
        description="Most bytes of activations alive at one time in inference, as the network is written: float32, "
        "input included, weights and the workspace of operations not.",
    )
    modules: int = Field(description="How many attention modules it has.")
    attention_modules: tuple[ModuleCost, ...] = Field(default=(), description="Each of them, from input to output.")
    conventions: tuple[ConventionCount, ...] = Field(
        default=(), description="Parameters and work as papers and tools count them."
    )
    not_counted: tuple[str, ...] = Field(description="Operations that were run and have no rule, by name.")
    notes: tuple[str, ...] = Field(default=(), description="Former names in which it was asked for, as sentences.")
    layers: tuple[LayerCost, ...] | None = Field(default=None, description="Every operation in order, if asked for.")


class ModelCost(Plain):
    """The bill of any model for one pass of an example, usually one image."""

    model: str = Field(description="Class of the model.")
    example: str = Field(description="What it was given, such as 1 x 3 x 224 x 224.")
    device: str = Field(description="Where the pass ran; on 'meta' by shapes alone.")
    total: Cost = Field(description="The whole model.")
    attention: Cost | None = Field(
        description="What runs inside modules that own gates; None where a gate is a part of a block, so that its cost "
        "cannot be told from the block's."
    )
    gates: int = Field(description="Gates that were met.")
    units: tuple[str, ...] = Field(
        default=(), description="Modules that own gates and have convolutions of their own, which count as attention."
    )
    not_separable: tuple[str, ...] = Field(default=(), description="Blocks that compute a gate among other things.")
    peak_activation_bytes: int = Field(
        description="Most bytes of activations alive at one time in inference, float32, input included, weights not."
    )
    conventions: tuple[ConventionCount, ...] = Field(
        description="Parameters and work as papers and tools count them; none where attention is not separable."
    )
    not_counted: tuple[str, ...] = Field(
        description="Operations that ran and have no rule; where there are any, the work is a lower bound."
    )
    layers: tuple[LayerCost, ...] | None = Field(default=None, description="Every operation in order, if asked for.")

    def __str__(self) -> str:
        bound, total = "at least " if self.not_counted else "", self.total
        how = "by shapes" if self.device == "meta" else f"real numbers, {self.device}"
        work = {"MACs": total.macs, "elementwise": total.elementwise, "pooling": total.pooling, "bytes": total.bytes}
        lines = [
            f"{self.model} ({self.example}, {how})",
            f"  parameters   {total.parameters:,}; other numbers {total.buffers:,}",
            *(f"  {name:<12} {bound}{amount:,}" for name, amount in work.items()),
            f"  activations  at most {self.peak_activation_bytes:,} bytes at a time",
            f"  attention    {self._attention()}",
        ]
        if self.not_counted:
            lines.append(f"  not counted  {', '.join(self.not_counted)}")
        return "\n".join(lines)

    def _attention(self) -> str:
        if self.attention is None:
            return f"not separable: {len(self.not_separable)} blocks compute a gate among other things"
        text = f"{self.attention.parameters:,} parameters and {self.attention.macs:,} MACs in {self.gates} gates"
        return text + (f", convolutions of {len(self.units)} units included" if self.units else "")


class CostReport(Report):
    """The answer of cost: one bill a variant, under one convention and in the units of others."""

    variants: tuple[VariantCost, ...] = Field(description="The variants in the order asked for.")
    convention: str = Field(description="What counts as one in the bills themselves.")
    conventions: tuple[ConventionRule, ...] = Field(
        default=(), description="The other ways to count that the bills are given in."
    )

    def tables(self) -> tuple[Table, ...]:
        """The bills in exact numbers, the same in the units of others, and every layer where they were asked for."""
        parts = [(part, field) for part in ("total", "attention", "delta") for field in Cost.model_fields]
        rows, texts = [], []
        for bill in self.variants:
            exact = [getattr(getattr(bill, part), field) for part, field in parts]
            rows.append((bill.name, short_size(bill.input_size), bill.modules, *exact, bill.buffers))
            own, total = bill.attention, bill.total
            amounts = (total.parameters, own.parameters, total.macs, own.macs)
            texts.append((bill.name, *(f"{amount:,}" for amount in amounts)))
        head = ("network", "parameters", "of them attention", "MACs", "of them attention")
        missed = sorted({name for bill in self.variants for name in bill.not_counted})
        bound = f" Work is at least so much: not counted are {', '.join(missed)}." if missed else ""
        sizes = ", ".join(dict.fromkeys(write_size(bill.input_size) for bill in self.variants))
        bills = Table(
            name="bills",
            caption=f"What networks cost, for one image of {sizes} pixels. {self.convention}{bound}",
            columns=named("variant", "input_size", "modules", *(f"{part}_{field}" for part, field in parts), "buffers"),
            rows=tuple(rows),
            printed=Printed(head=head, rows=tuple(texts)),
            bars=Bars(label="variant", value="total_macs"),
        )
        _, *nested = listed("variants", self.variants)
        return bills, *nested


class CostRequest(Request[CostReport]):
    """What do these networks cost, and how much of it is the attention?"""

    examples: ClassVar = ({"variants": ["resnet50/none", "resnet50/se", "resnet50/eca"]},)
    counts_only: ClassVar = True

    variants: tuple[Variant, ...] = Field(
        default=(Variant.parse("resnet50/none"), Variant.parse("resnet50/se"), Variant.parse("resnet50/eca")),
        min_length=1,
        max_length=64,
        description="Networks to count, as objects or short names.",
    )
    input_size: Size | None = Field(default=None, description=INPUT_SIZE)
    layers: bool = Field(default=False, description="Whether to list every layer.")
