"""What tables and pictures call things, so that all of them use the same short words."""

import re
from collections.abc import Mapping, Sequence

from attention.errors import AttentionError
from attention.reports.compare import Comparison, GateSummary, Prediction
from attention.reports.cost import CostReport
from attention.reports.subjects import ChannelGate
from attention.spec import Variant
from dashboard.drawing import theme
from dashboard.language import marked, say


def labels(names: Sequence[str]) -> dict[str, str]:
    """Short name -> what people call it: the module, with what else tells it from the other networks."""
    try:
        variants = {name: Variant.parse(name) for name in names}
    except AttentionError:
        return {name: name for name in names}
    hosts = {(variant.backbone, str(variant.backbone_options)) for variant in variants.values()}
    said: dict[str, str] = {}
    for name, variant in variants.items():
        text = theme.called(name)
        if len(hosts) > 1:
            text += f" · {name.partition('/')[0]}"
        inside = name.partition("?")[0].partition("/")[2].removeprefix(variant.attention or theme.PLAIN)
        said[name] = f"{text} {inside}".strip()
    doubled = {text for text in said.values() if list(said.values()).count(text) > 1}
    return {
        name: f"{text} · {name.partition('?')[2] or say('untrained')}" if text in doubled else text
        for name, text in said.items()
    }


def called(report: Comparison | CostReport) -> dict[str, str]:
    """Short name -> label of each variant of a report, in its order."""
    return labels([variant.name for variant in report.variants])


def relabelled(text: str, label: Mapping[str, str]) -> str:
    """A sentence with the labels of pictures in place of full names."""
    names = sorted(label, key=len, reverse=True)  # one may begin like another
    return re.sub("|".join(map(re.escape, names)), lambda found: label[found[0]], text) if names else text


def human(number: float, unit: str = "") -> str:
    """1234567 -> '1.23 M': three digits that matter, decimal prefixes."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g} {prefix}{unit}"
    return f"{number:.4g} {unit}".strip()


def unit(name: str) -> str:
    """'Gi FLOPs' -> 'Gi': the binary prefix of a unit, empty for a plain count."""
    prefix = name.partition(" ")[0]
    return prefix if prefix in ("Ki", "Mi", "Gi") else ""


CONVENTIONS = {
    "macs": marked("Multiply-accumulates"),
    "flops": "FLOPs",
    "eca_paper": marked("ECA-paper units"),
    "se_paper": marked("SE-paper parameters"),
}
"""What the ways to count are called."""


def convention(name: str) -> str:
    """What a way to count is called; one that has no words here is called by its own name."""
    return say(CONVENTIONS.get(name, name))


def about(report: Comparison, image: str) -> list[Prediction]:
    """What every variant said about one image."""
    return [prediction for prediction in report.predictions if prediction.image == image]


def gate_labels(gates: Sequence[GateSummary | ChannelGate]) -> dict[str, str]:
    """Path of a gate -> 'stage.block', with its kind if that is not channel, with its path if a block has several."""
    short = [f"{gate.stage}.{gate.block}" + ("" if gate.kind == "channel" else f" {gate.kind}") for gate in gates]
    return {
        gate.path: part if short.count(part) == 1 else f"{part} {gate.path.split('.', 2)[-1]}"
        for gate, part in zip(gates, short, strict=True)
    }


CLASSES = (
    marked("daisy"),
    marked("dandelion"),
    marked("roses"),
    marked("sunflowers"),
    marked("tulips"),
    marked("airplane"),
    marked("automobile"),
    marked("bird"),
    marked("cat"),
    marked("deer"),
    marked("dog"),
    marked("frog"),
    marked("horse"),
    marked("ship"),
    marked("truck"),
)
"""Class names of the networks that come with the project, for translation; classes of users are not translated."""

DATA = (marked("Five flowers"), marked("CIFAR-10 (JPEG q75)"))
"""Names of the data that the networks which come with the project were trained on."""
