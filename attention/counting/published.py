"""Accuracies that were published for attention modules on ImageNet, each with its source and what is known of how the
network was trained.

Two numbers compare only where recipe, data, resolution and the rest of the network are the same. So results stand in
groups, and a group says whether it is of one recipe. Costs are not copied from the sources, which count in several
ways: they are counted here, from the variant, where the network can be built here.
"""

from dataclasses import dataclass

SE_PAPER = "https://arxiv.org/abs/1709.01507"
ECA_PAPER = "https://arxiv.org/abs/1910.03151"
STRIKES_BACK = "https://arxiv.org/abs/2110.00476"
TIMM = "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv"

ONE_SEED = "One run each: nobody published how much another seed would change, so small differences are undecided."


@dataclass(frozen=True)
class Result:
    """One published accuracy; ``variant`` is the short name of the same network here."""

    name: str
    attention: str
    top1: float
    variant: str


@dataclass(frozen=True)
class Group:
    """Results to read beside each other, the plain network first where there is one."""

    key: str
    title: str
    source: str
    link: str
    recipe: str
    same_recipe: bool
    warning: str | None
    results: tuple[Result, ...]
    input_size: int = 224


def _eca_paper(key: str, title: str, *results: Result) -> Group:
    return Group(
        key=key,
        title=title,
        source="ECA paper, CVPR 2020, comparison with other attention",
        link=ECA_PAPER,
        recipe="ECA: trained by its authors, 100 epochs (MobileNetV2: 400). The other rows: taken from their papers, "
        "the plain network and SE from the SE paper's reimplementations.",
        same_recipe=False,
        warning="Not one recipe: rows come from several papers, so a difference may be the training, not the module.",
        results=results,
    )


def _strikes_back(recipe: str, epochs: int, size: int, plain: float, se: float, note: str) -> Group:
    return Group(
        key=f"timm_{recipe}",
        title=f"ResNet-50 with and without SE, recipe {recipe.upper()}",
        source="timm's weights for ResNet strikes back, 2021",
        link=STRIKES_BACK,
        recipe=f"{recipe.upper()}: {epochs} epochs, LAMB, binary cross-entropy, Mixup and CutMix; {note}.",
        same_recipe=True,
        warning=ONE_SEED,
        input_size=size,
        results=(
            Result(f"resnet50.{recipe}_in1k", "none", plain, "resnet50/none"),
            Result(f"seresnet50.{recipe}_in1k", "se", se, "resnet50/se(bias=true)"),
        ),
    )


def _se_paper(key: str, title: str, *results: Result) -> Group:
    return Group(
        key=key,
        title=title,
        source="SE paper, ablation on ResNet-50",
        link=SE_PAPER,
        recipe="All trained by the authors in one way: 100 epochs, SGD, random crops and mirrored images.",
        same_recipe=True,
        warning=ONE_SEED + " Top-1 is 100 minus the error that the paper gives.",
        results=results,
    )


def _se(name: str, error: float, options: str = "", place: str = "") -> Result:
    comma = "," if options else ""
    return Result(name, name, round(100 - error, 2), f"resnet50(version=v1)/se(bias=true{comma}{options}){place}")


GROUPS: tuple[Group, ...] = (
    _eca_paper(
        "eca_resnet50",
        "ResNet-50, as the ECA paper compares",
        Result("ResNet", "none", 75.20, "resnet50/none"),
        Result("SENet", "se", 76.71, "resnet50/se"),
        Result("CBAM", "cbam", 77.34, "resnet50/cbam"),
        Result("GCNet", "gc", 77.70, "resnet50/gc"),
        Result("ECA-Net", "eca", 77.48, "resnet50/eca(kernel_size=released)"),
    ),
    Group(
        key="timm_resnet33ts",
        title="resnet33ts: four networks, one recipe",
        source="timm's published weights, tested at 256 pixels",
        link=TIMM,
        recipe="All trained by timm's author with the recipe that he calls ra2 (RandAugment), at 256 pixels.",
        same_recipe=True,
        warning="One run each: SE and ECA are 0.30 points apart, and that is undecided.",
        input_size=256,
        results=(
            Result("resnet33ts.ra2_in1k", "none", 79.22, "resnet33ts/none"),
            Result("seresnet33ts.ra2_in1k", "se", 80.38, "resnet33ts/se(bias=true,divisor=8)@inner"),
            Result("gcresnet33ts.ra2_in1k", "gc", 80.07, "resnet33ts/gc(reduction=8)@inner"),
            Result("eca_resnet33ts.ra2_in1k", "eca", 80.08, "resnet33ts/eca@inner"),
        ),
    ),
    _strikes_back("a1", 600, 224, 80.38, 80.01, "trained and tested at 224 pixels"),
    _strikes_back("a2", 300, 224, 79.83, 80.10, "trained and tested at 224 pixels"),
    _strikes_back("a3", 100, 160, 75.99, 75.10, "trained and tested at 160 pixels"),
    _se_paper(
        "se_reduction",
        "SE on ResNet-50: how narrow may the bottleneck be?",
        *(
            _se(f"r = {reduction}", error, f"reduction={reduction}")
            for reduction, error in ((2, 22.29), (4, 22.25), (8, 22.26), (16, 22.28), (32, 22.72))
        ),
    ),
    _se_paper(
        "se_place",
        "SE on ResNet-50: where in the block?",
        _se("standard", 22.28),
        _se("pre", 22.23, place="@pre"),
        _se("identity", 22.20, place="@identity"),
        _se("post", 22.78, place="@post"),
        _se("after the 3x3", 22.48, place="@inner"),
    ),
    Group(
        key="eca_controls",
        title="ResNet-50: what does each part of SE do?",
        source="ECA paper, CVPR 2020, comparison of channel attention",
        link=ECA_PAPER,
        recipe="All trained by the ECA paper's authors in one way, 100 epochs.",
        same_recipe=True,
        warning=ONE_SEED,
        results=(
            Result("SE-Var1", "se_var1", 76.00, "resnet50/se_var1"),
            Result("SE-Var2", "se_var2", 77.07, "resnet50/se_var2"),
            Result("SE-Var3", "se_var3", 77.42, "resnet50/se_var3"),
            Result("ECA-NS", "eca_ns", 77.35, "resnet50/eca_ns"),
            Result("ECA-Net", "eca", 77.48, "resnet50/eca(kernel_size=released)"),
        ),
    ),
    _eca_paper(
        "eca_resnet101",
        "ResNet-101, as the ECA paper compares",
        Result("ResNet", "none", 76.83, "resnet101/none"),
        Result("SENet", "se", 77.62, "resnet101/se"),
        Result("CBAM", "cbam", 78.49, "resnet101/cbam"),
        Result("ECA-Net", "eca", 78.65, "resnet101/eca(kernel_size=released)"),
    ),
    _eca_paper(
        "eca_resnet152",
        "ResNet-152, as the ECA paper compares",
        Result("ResNet", "none", 77.58, "resnet152/none"),
        Result("SENet", "se", 78.43, "resnet152/se"),
        Result("ECA-Net", "eca", 78.92, "resnet152/eca(kernel_size=released)"),
    ),
    _eca_paper(
        "eca_mobilenetv2",
        "MobileNetV2, as the ECA paper compares",
        Result("MobileNetV2", "none", 71.64, "mobilenetv2/none"),
        Result("SENet", "se", 72.42, "mobilenetv2/se(reduction=8)"),
        Result("ECA-Net", "eca", 72.56, "mobilenetv2/eca(kernel_size=released)"),
    ),
)
"""Every group. The figures are the sources' own; ECA-Net's 77.48 is the paper's, and its repository has said 77.42."""
