"""What tables and pictures call things, so that all of them use the same short words."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attention.errors import AttentionError
from attention.reports.compare import Comparison, GateSummary, Prediction
from attention.reports.cost import CostReport
from attention.reports.parts.subjects import ChannelGate
from attention.spec import GateKind, Variant
from dashboard.drawing import theme
from dashboard.language import marked, say

FAMILIES = {"resnet": "ResNet-", "resnext": "ResNeXt-", "mobilenetv": "MobileNetV", "vgg": "VGG-"}
"""How papers write families of backbones; what follows is their depth or version."""

MOST = 0.75
"""A backbone that more than this share of the networks have is left out of their labels."""


def backbone(variant: Variant) -> str:
    """What people call a network's backbone: ``resnet18(width=0.25)`` -> ``ResNet-18 (width=0.25)``."""
    name, sign, options = variant.plain.name.partition("/")[0].partition("(")
    family, number = re.fullmatch(r"([a-z]*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    name = f"{FAMILIES[family]}{number.replace('_', ' ')}" if family in FAMILIES else name
    return f"{name} {sign}{options}".strip()


def backbones(names: Iterable[str]) -> dict[str, str]:
    """Name of each backbone -> what people call it."""
    return {name: backbone(Variant(backbone=name)) for name in names}


def labels(names: Sequence[str], host: bool = False) -> dict[str, str]:
    """Short name -> what people call it: the module, with what else tells it from the other networks.

    Where networks have several backbones, one that more than `MOST` of them have goes without saying.

    Args:
        host: whether the backbone is said of networks that have the same, too.
    """
    hosts = {name: backbone(variant) for name in names if (variant := _variant(name)) is not None}
    usual = {one for one, n in Counter(hosts.values()).items() if n > MOST * len(hosts)}
    texts = {name: _label(name, host or hosts.get(name) not in usual) for name in names}
    doubled = {text for text in texts.values() if list(texts.values()).count(text) > 1}
    return {name: f"{text} · {_weights(name)}" if text in doubled else text for name, text in texts.items()}


def in_lists(names: Sequence[str]) -> dict[str, str]:
    """Short name -> what a list to choose from calls it: module and backbone, and whether it is trained."""
    trained = f" · {say('trained')}"
    return {
        name: text.removesuffix(trained) + trained if "weights=" in name else text
        for name, text in labels(names, host=True).items()
    }


def network_label(name: str) -> str:
    """What people call a network that is named alone: ``ECA · ResNet-20``."""
    return _label(name, host=True)


def _label(name: str, host: bool) -> str:
    """What people call a network, with its backbone if that is wanted; what is no short name stays as it is."""
    variant = _variant(name)
    if variant is None:
        return name
    text = theme.called(name) + (f" · {backbone(variant)}" if host else "")
    inside = name.partition("?")[0].partition("/")[2].removeprefix(variant.attention or theme.PLAIN)
    return f"{text} {inside}".strip()


def _weights(name: str) -> str:
    """Where a network's weights are from, in words where these are those that come along or none."""
    weights = name.partition("?")[2]
    return say("trained") if weights == "weights=shipped" else weights or say("untrained")


def _variant(name: str) -> Variant | None:
    """The network that a short name means; None if it means none."""
    try:
        return Variant.parse(name)
    except (AttentionError, ValueError):
        return None


def called(report: Comparison | CostReport) -> dict[str, str]:
    """Short name -> label of each variant of a report, in its order."""
    return labels([variant.name for variant in report.variants])


def relabelled(text: str, label: Mapping[str, str]) -> str:
    """A sentence with the labels of pictures in place of full names."""
    names = sorted(label, key=len, reverse=True)  # one may begin like another
    return re.sub("|".join(map(re.escape, names)), lambda match: label[match[0]], text) if names else text


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


GATES: dict[GateKind, str] = {
    "channel": marked("per channel"),
    "spatial": marked("per place"),
    "rows": marked("per row"),
    "columns": marked("per column"),
    "full": marked("per channel and place"),
    "branch": marked("per branch"),
    "matrix": marked("place to place"),
}
"""What the weights of a kind of gate run over."""
