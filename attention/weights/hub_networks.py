"""ImageNet networks that are published on the hub, by name: what they are here, their licence, accuracy and recipe.

All are Ross Wightman's conversions and trainings, https://huggingface.co/timm. Variants, licences and input sizes: timm
1.0.31, against which every architecture in this list gave the same logits bit for bit. Accuracies, with the size and
crop that they were measured at: its results/results-imagenet.csv, commit 0173a139
(https://github.com/huggingface/pytorch-image-models/blob/0173a139/results/results-imagenet.csv); one run each, so
nobody knows how much another seed would change. All were compared with that file on 2026-11-28. Networks of one
recipe differ in nothing but what their names say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attention.errors import UnknownName
from attention.spec import Variant

RECIPES = {
    "ra2": "timm's RA2, published as B in ResNet strikes back: RandAugment, RMSProp, moving average",
    "ra": "timm's RA, before RA2: RandAugment, for ResNets with SGD",
    "racm": "timm's RACM: by its name RandAugment with CutMix and Mixup (its card was not compared)",
    "a1": "ResNet strikes back, A1: 600 epochs, LAMB, binary cross-entropy, Mixup, CutMix",
    "a2": "ResNet strikes back, A2: 300 epochs, LAMB, binary cross-entropy, Mixup, CutMix",
    "a3": "ResNet strikes back, A3: 100 epochs at 160 pixels, LAMB, binary cross-entropy, Mixup, CutMix",
    "tv": "torchvision's first weights",
    "tv2": "torchvision's second weights",
    "miil": "Alibaba MIIL's, of which no details are published with the weights",
}
"""Tag of timm's -> training, as far as it is published.

A1 to A3: https://arxiv.org/abs/2110.00476, table 2, and the cards of timm/*.a1_in1k. RA2: the cards, such as
https://huggingface.co/timm/efficientnet_b3.ra2_in1k. RA: the author's words on how it became RA2,
https://gist.github.com/rwightman/07839a82d0f50e42840168bc43df70b3. MIIL: https://huggingface.co/timm/ecaresnetlight.miil_in1k.
"""


@dataclass(frozen=True)
class HubNetwork:
    """A published network: where it lies, and what it is here.

    Args:
        name: its repository without the owner.
        variant: the same network's short name here, without weights.
        top1: accuracy on ImageNet's validation images, per cent, as published.
        test_size, test_crop: size of the images in pixels, and share of the shorter side, that it was measured at.
        parameters: numbers in its weights; four bytes each in the file.
    """

    name: str
    variant: str
    top1: float
    test_size: int
    test_crop: float
    parameters: int

    @property
    def repository(self) -> str:
        """Name of the repository on the hub, with its owner."""
        return f"timm/{self.name}"

    @property
    def recipe(self) -> str:
        """How it was trained, a key of `RECIPES`: the tag in its name. Networks of one recipe may be compared."""
        return self.name.partition(".")[2].removesuffix("_in1k")

    @property
    def licence(self) -> str:
        """Licence of the weights, as the hub spells it: torchvision's own, or that of timm's trainings."""
        return "bsd-3-clause" if self.recipe.startswith("tv") else "apache-2.0"

    @property
    def megabytes(self) -> float:
        """About how large the file is, in millions of bytes."""
        return self.parameters * 4 / 1e6

    @property
    def weighted(self) -> Variant:
        """The variant with these weights."""
        return Variant.parse(self.variant).model_copy(update={"weights": f"hub:{self.repository}"})


D, T = "(stem=deep,shortcut=pool)", "(stem=tiered,shortcut=pool)"

NETWORKS: Mapping[str, HubNetwork] = {
    network.name: network
    for network in (
        HubNetwork("resnet33ts.ra2_in1k", "resnet33ts/none", 79.726, 288, 1.0, 19_676_256),
        HubNetwork("eca_resnet33ts.ra2_in1k", "resnet33ts/eca@inner", 80.672, 288, 1.0, 19_676_302),
        HubNetwork("seresnet33ts.ra2_in1k", "resnet33ts/se(bias=true,divisor=8)@inner", 80.784, 288, 1.0, 19_779_200),
        HubNetwork("gcresnet33ts.ra2_in1k", "resnet33ts/gc(reduction=8)@inner", 80.6, 288, 1.0, 19_880_698),
        HubNetwork("resnet50.a1_in1k", "resnet50/none", 81.214, 288, 1.0, 25_557_032),
        HubNetwork("seresnet50.a1_in1k", "resnet50/se(bias=true)", 81.102, 288, 1.0, 28_088_024),
        HubNetwork("resnet50.a2_in1k", "resnet50/none", 80.772, 288, 1.0, 25_557_032),
        HubNetwork("seresnet50.a2_in1k", "resnet50/se(bias=true)", 81.106, 288, 1.0, 28_088_024),
        HubNetwork("resnet50.a3_in1k", "resnet50/none", 78.048, 224, 0.95, 25_557_032),
        HubNetwork("seresnet50.a3_in1k", "resnet50/se(bias=true)", 77.028, 224, 0.95, 28_088_024),
        HubNetwork("seresnet50.ra2_in1k", "resnet50/se(bias=true)", 81.284, 288, 0.95, 28_088_024),
        HubNetwork("resnet50d.a1_in1k", f"resnet50{D}/none", 81.45, 288, 1.0, 25_576_264),
        HubNetwork("resnet50d.ra2_in1k", f"resnet50{D}/none", 81.356, 288, 0.95, 25_576_264),
        HubNetwork("ecaresnet50d.miil_in1k", f"resnet50{D}/eca", 81.65, 288, 0.95, 25_576_350),
        HubNetwork("ecaresnet50t.ra2_in1k", f"resnet50{T}/eca", 82.352, 320, 0.95, 25_573_814),
        HubNetwork("ecaresnet50t.a1_in1k", f"resnet50{T}/eca", 82.128, 288, 1.0, 25_573_814),
        HubNetwork("resnext50_32x4d.a1_in1k", "resnext50/none", 81.466, 288, 1.0, 25_028_904),
        HubNetwork("seresnext50_32x4d.racm_in1k", "resnext50/se(bias=true)", 82.196, 288, 0.95, 27_559_896),
        HubNetwork("skresnext50_32x4d.ra_in1k", "resnext50/sk@spatial", 80.162, 224, 0.875, 27_479_784),
        HubNetwork("mobilenetv2_100.ra_in1k", "mobilenetv2/none", 72.976, 224, 0.875, 3_504_872),
        HubNetwork(
            "mobilenetv3_large_100.ra_in1k", "timm(model=mobilenetv3_large_100)/none", 75.766, 224, 0.875, 5_483_032
        ),
        HubNetwork("efficientnet_b0.ra_in1k", "timm(model=efficientnet_b0)/none", 77.694, 224, 0.875, 5_288_548),
        HubNetwork("resnet18.tv_in1k", "resnet18/none", 69.76, 224, 0.875, 11_689_512),
        HubNetwork("resnet50.tv_in1k", "resnet50/none", 76.13, 224, 0.875, 25_557_032),
        HubNetwork("resnet50.tv2_in1k", "resnet50/none", 80.85, 224, 0.965, 25_557_032),
        HubNetwork("resnet101.tv_in1k", "resnet101/none", 77.376, 224, 0.875, 44_549_160),
        HubNetwork("resnet152.tv_in1k", "resnet152/none", 78.322, 224, 0.875, 60_192_808),
    )
}
"""The published networks, by name. MobileNetV3 and EfficientNet have gates of their own, and need timm."""


@dataclass(frozen=True)
class NetworkGroup:
    """Networks of one recipe that are one choice, the plain one first."""

    title: str
    names: tuple[str, ...]

    @property
    def networks(self) -> tuple[HubNetwork, ...]:
        """The networks, in order."""
        return tuple(NETWORKS[name] for name in self.names)


GROUPS: Mapping[str, NetworkGroup] = {
    "quartet": NetworkGroup(
        "ResNet-33-TS without attention, with ECA, SE and GC",
        tuple(f"{name}.ra2_in1k" for name in ("resnet33ts", "eca_resnet33ts", "seresnet33ts", "gcresnet33ts")),
    ),
    "resnet50-a1": NetworkGroup("ResNet-50 with and without SE, A1", ("resnet50.a1_in1k", "seresnet50.a1_in1k")),
    "resnet50-a2": NetworkGroup("ResNet-50 with and without SE, A2", ("resnet50.a2_in1k", "seresnet50.a2_in1k")),
    "resnet50-a3": NetworkGroup("ResNet-50 with and without SE, A3", ("resnet50.a3_in1k", "seresnet50.a3_in1k")),
}
"""Networks that are one choice, by name of the group."""


def find_networks(name: str) -> Sequence[HubNetwork]:
    """The networks that a group's or a network's name means; the owner may stand before it.

    Raises:
        UnknownName: there are none of that name.
    """
    if name in GROUPS:
        return GROUPS[name].networks
    short = name.removeprefix("timm/")
    if short in NETWORKS:
        return (NETWORKS[short],)
    raise UnknownName("published network", name, (*GROUPS, *NETWORKS))
