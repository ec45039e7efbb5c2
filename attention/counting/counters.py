"""What other counters report: the rules of tools that count FLOPs, restated from their sources on rows of a ledger.

None of them is imported. A rule says for one row what the tool adds, split by what it is for, so that the difference
between a tool and the ledger can be explained to the last unit. Tools that hook modules see a row only if a module of
``torch.nn`` ran it; tools that patch functions see it only if it was called by that name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

from attention.counting.ledger import CountedOperation

Kind = Literal["products", "bias", "normalisation", "activation", "pooling", "entrywise", "interpolation", "twice"]
Added = dict[Kind, int]
"""What a counter adds for one row, by what for. Multiply-accumulates are under ``products``."""

NORMS = ("batch_norm", "layer_norm", "group_norm", "instance_norm")
POOLS = tuple(f"{kind}_pool{n}d" for kind in ("avg", "max", "adaptive_avg", "adaptive_max") for n in (1, 2, 3))
HOOKED_CONVS = ("Conv1d", "Conv2d", "Conv3d")
HOOKED_BATCH_NORMS = ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d")
HOOKED_RELUS = ("ReLU", "ReLU6", "LeakyReLU")


@dataclass(frozen=True)
class Counter:
    """A tool's rule.

    ``product`` is what it makes of one multiply-accumulate: 1 or 2. With ``last_call`` a module that runs more than
    once counts by its last run only. ``notes`` say in words what each kind of addition is, ``blind`` what it misses.
    """

    name: str
    unit: str
    product: int
    how: str
    source: str
    blind: str
    add: Callable[[CountedOperation], Added]
    notes: dict[Kind, str]
    last_call: bool = False

    def reported_rows(self, rows: Sequence[CountedOperation]) -> Sequence[CountedOperation]:
        """List the rows that the counter reports; where its rule says so, a repeated module's last run alone."""
        return list({(row.layer, row.operation): row for row in rows}.values()) if self.last_call else rows

    def sums(self, rows: Sequence[CountedOperation]) -> Added:
        """Sums of what this counter adds for all operations, by kind."""
        total: Added = {}
        for row in self.reported_rows(rows):
            for kind, amount in self.add(row).items():
                total[kind] = total.get(kind, 0) + amount
        return total

    def reports(self, rows: Sequence[CountedOperation]) -> int:
        """Give the number that the counter reports for some rows."""
        return sum(self.sums(rows).values())

    def misses(self, rows: Sequence[CountedOperation]) -> list[CountedOperation]:
        """List the rows whose multiply-accumulates the counter leaves out."""
        return [row for row in rows if row.macs and not self.add(row).get("products")]


def bias_of_thop_2019(row: CountedOperation) -> int:
    """What a convolution's bias adds: as much as one more place of the window, so C_in / groups for each output."""
    return row.macs // row.window if row.biased and row.window else 0


def thop_2019(row: CountedOperation) -> Added:
    """thop 0.0.23.post1907171430 to post1908021522, of 17 July to 2 August 2019."""
    match row.module:
        case "Linear":
            return {"products": 2 * row.macs - row.entries}
        case "LayerNorm":
            return {}
        case "AvgPool1d" | "AvgPool2d":
            side = -(-row.seen[-1] // row.shape[-1])  # windows that do not overlap, as in ResNet-D's shortcuts
            return {"pooling": (side + 1) * row.entries}
    added = thop(row)
    if row.module in HOOKED_CONVS and row.biased:
        added["bias"] = bias_of_thop_2019(row)
    if row.module in HOOKED_RELUS:
        added["activation"] = row.entries
    return added


def thop(row: CountedOperation) -> Added:
    """thop 0.1.1."""
    match row.module:
        case "Linear" | "Conv1d" | "Conv2d" | "Conv3d":
            return {"products": row.macs}
        case "BatchNorm1d" | "BatchNorm2d" | "BatchNorm3d" | "LayerNorm":
            return {"normalisation": (4 if row.biased else 2) * row.entries}
        case "AdaptiveAvgPool1d" | "AdaptiveAvgPool2d":
            return {"pooling": row.pooling + row.entries}
        case "AvgPool1d" | "AvgPool2d":
            return {"pooling": row.entries}
    return {}


def fvcore(row: CountedOperation) -> Added:
    """fvcore's FlopCountAnalysis."""
    match row.operation:
        case "linear" | "matmul" | "bmm" | "addmm":
            return {"products": row.macs}
        case "batch_norm":
            return {"normalisation": (2 if row.biased else 1) * row.entries}
        case "layer_norm" | "group_norm" | "instance_norm":
            return {"normalisation": (5 if row.biased else 4) * row.entries}
        case "adaptive_avg_pool2d":
            return {"pooling": row.pooling}
        case "interpolate":
            return {"interpolation": row.entries}
        case operation if operation.startswith("conv"):
            return {"products": row.macs}
    return {}


def ptflops(row: CountedOperation) -> Added:
    """ptflops with its backend "pytorch"."""
    added: Added = {}
    if row.module in (*HOOKED_CONVS, "Linear"):
        added["products"] = row.macs
        if row.biased:
            added["bias"] = row.entries if row.module != "Linear" else row.shape[-1]
    elif row.module in (*HOOKED_BATCH_NORMS, "InstanceNorm2d", "GroupNorm", "LayerNorm"):
        added["normalisation"] = (2 if row.biased and row.module != "LayerNorm" else 1) * row.entries
    elif row.module in (*HOOKED_RELUS, "PReLU", "ELU", "GELU"):
        added["activation"] = row.entries
    elif row.module.endswith("Pool1d") or row.module.endswith("Pool2d"):
        added["pooling"] = row.pooling
    patched = 0
    if row.spelling in ("F.relu", "F.prelu", "F.elu", "F.relu6", "F.gelu", "F.silu", "F.softmax"):
        patched = row.entries
    elif row.spelling.startswith("F.") and row.operation in POOLS:
        patched = row.pooling
    elif row.spelling in ("torch.matmul", "torch.mm", "torch.bmm"):
        return {"products": row.macs}
    elif row.spelling in ("torch.add", "torch.mul"):
        return {"entrywise": row.entries}
    elif row.spelling == "F.interpolate":
        return {"interpolation": row.entries}
    if patched:
        counted_kind: Kind = "twice" if added else "pooling" if row.operation in POOLS else "activation"
        added[counted_kind] = patched
    return added


def torchinfo(row: CountedOperation) -> Added:
    """torchinfo's total mult-adds."""
    if row.module in HOOKED_CONVS:
        return {"products": row.macs, "bias": row.entries if row.biased else 0}
    if row.module == "Linear":
        # As many as the layer has weights, however many places it runs on.
        weights = row.macs // max(row.entries // row.shape[-1], 1)
        return {"products": weights, "bias": row.shape[-1] if row.biased else 0}
    if row.operation in NORMS and row.module.endswith(("Norm", "Norm1d", "Norm2d", "Norm3d")):
        return {"normalisation": row.parameters}
    return {}


def deepspeed(row: CountedOperation) -> Added:
    """DeepSpeed's flops profiler."""
    if row.macs:
        convolution = row.operation.startswith("conv")
        return {"products": 2 * row.macs, "bias": row.entries if convolution and row.biased else 0}
    match row.spelling:
        case "F.batch_norm":
            return {"normalisation": (2 if row.biased else 1) * row.entries}
        case "F.layer_norm" | "F.group_norm" | "F.instance_norm":
            return {"normalisation": (5 if row.biased else 4) * row.entries}
        case "F.relu" | "F.relu6" | "F.leaky_relu" | "F.elu" | "F.prelu" | "F.silu" | "F.gelu" | "F.softmax":
            return {"activation": row.entries}
        case "torch.add" | "torch.mul":
            return {"entrywise": row.entries}
        case "F.interpolate":
            return {"interpolation": prod(row.shape[2:])}
    if row.spelling.startswith("F.") and row.operation in POOLS:
        return {"pooling": row.pooling}
    return {}


_HOOKS = "It hooks modules of torch.nn: what is written with functions or methods is not seen."
_THOP = "https://github.com/Lyken17/pytorch-OpCounter"

COUNTERS: tuple[Counter, ...] = (
    Counter(
        "thop of 2019",
        "FLOPs",
        1,
        "restated",
        f"{_THOP}, thop/count_hooks.py of the releases 0.0.23.post1907171430 to post1908021522, of 17 July to 2 August "
        "2019: behind the ECA paper's tables. Earlier and later ones count pooling, ReLU or biases otherwise.",
        _HOOKS,
        thop_2019,
        {
            "products": "A linear layer counts 2 in - 1 for each output, a convolution one for each product.",
            "bias": "C_in (of its group) for each output of a convolution with bias.",
            "normalisation": "4 for each entry of a batch normalisation.",
            "activation": "One for each entry of a ReLU module, of its last call only.",
            "pooling": "HW + 1 for each output of nn.AdaptiveAvgPool2d, k + 1 of nn.AvgPool2d.",
        },
        last_call=True,
    ),
    Counter(
        "thop 0.1.1",
        "MACs",
        1,
        "restated",
        f"{_THOP}, thop/vision/basic_hooks.py and calc_func.py.",
        _HOOKS,
        thop,
        {
            "normalisation": "4 for each entry of a normalisation with scale and shift, 2 without.",
            "pooling": "HW + 1 for each output of nn.AdaptiveAvgPool2d, one for each of nn.AvgPool2d.",
        },
    ),
    Counter(
        "fvcore",
        "FLOPs, one for each multiply-accumulate",
        1,
        "restated",
        "https://github.com/facebookresearch/fvcore, fvcore/nn/flop_count.py and jit_handles.py.",
        "It counts traced operations, of which mean and mm have no rule.",
        fvcore,
        {
            "normalisation": "2 for each entry of a batch normalisation (eval mode), 5 of others with scale and shift.",
            "pooling": "One for each entry read by adaptive average pooling, but none for a mean.",
            "interpolation": "One for each entry that nearest-neighbour interpolation writes.",
        },
    ),
    Counter(
        "ptflops",
        "MACs",
        1,
        "restated",
        "https://github.com/sovrasov/flops-counter.pytorch, ptflops/pytorch_ops.py and pytorch_engine.py.",
        "It hooks modules of torch.nn and patches some functions; F.conv1d, methods and operators are not among them.",
        ptflops,
        {
            "bias": "One for each output of a layer with bias.",
            "normalisation": "2 for each entry of a normalisation.",
            "activation": "One for each entry of a ReLU module, or of F.relu.",
            "pooling": "One for each entry read by a pooling module, or by F.adaptive_avg_pool2d.",
            "entrywise": "One for each entry of torch.add and torch.mul.",
            "interpolation": "One for each entry that F.interpolate writes.",
            "twice": "Modules that call a patched function are counted by their hook and by the patch.",
        },
    ),
    Counter(
        "torchinfo",
        "mult-adds",
        1,
        "restated",
        "https://github.com/TylerYep/torchinfo, torchinfo/layer_info.py.",
        "It looks at modules without children: what is written with functions or methods is not seen, and a linear "
        "layer counts its weights once, however many places it runs on.",
        torchinfo,
        {
            "bias": "One for each output of a layer with bias.",
            "normalisation": "As many as a normalisation has parameters, whatever the size of the map.",
        },
    ),
    Counter(
        "DeepSpeed",
        "FLOPs",
        2,
        "restated",
        "https://github.com/deepspeedai/DeepSpeed, deepspeed/profiling/flops_profiler/profiler.py.",
        "It patches functions; mean and sigmoid are not among them.",
        deepspeed,
        {
            "bias": "One for each output of a convolution with bias.",
            "normalisation": "2 for each entry of a batch normalisation (eval mode), 5 of others with scale and shift.",
            "activation": "One for each entry of F.relu and its like, which ReLU modules call; torch.relu is not seen.",
            "pooling": "One for each entry read by pooling functions and modules, but none for a mean.",
            "entrywise": "One for each entry of torch.add and torch.mul; operators are not seen.",
            "interpolation": "Height x width that F.interpolate is given, whatever the channels.",
        },
    ),
)
"""The tools whose rules are restated here."""
