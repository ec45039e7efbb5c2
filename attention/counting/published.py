"""Results that were published for attention modules, each with its paper, table, cell and conditions.

Two numbers compare only where recipe, data, resolution and the rest of the network are the same. So results stand in
groups, and a group says whether it is of one recipe. Costs are not copied from the sources, which count in several
ways: they are counted here, from the variant, where the network can be built here.

What is missing is missing for want of a comparable pair that could be looked up: SRM, SimAM, triplet attention and
GCNet give their baselines in tables of their papers only, not in their repositories.
"""

from dataclasses import dataclass

TOP1 = "top-1 accuracy on ImageNet-1k validation images, %"
MIOU = "mean IoU on Cityscapes validation images, %"

SE_PAPER = "https://arxiv.org/abs/1709.01507"
ECA_PAPER = "https://arxiv.org/abs/1910.03151"
CBAM_PAPER = "https://arxiv.org/abs/1807.06521"
DANET_PAPER = "https://arxiv.org/abs/1809.02983"
SKNET = "https://github.com/implus/SKNet"
INSIGHT = "https://github.com/implus/PytorchInsight"
COORD = "https://github.com/houqb/CoordAttention"
GCT = "https://github.com/z-x-yang/GCT"
FCANET = "https://github.com/cfzd/FcaNet"
STRIKES_BACK = "https://arxiv.org/abs/2110.00476"
TIMM = "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv"

ONE_SEED = "One run each: nobody published how much another seed would change, so small differences are undecided."
FROM_ERROR = "Top-1 is 100 minus the error that the paper gives."
FROM_SE_PAPER = "The figure of the SE paper's reimplementation."


@dataclass(frozen=True)
class Result:
    """One published figure.

    Args:
        name: what the source calls the network.
        attention: its module here, in a word; ``none`` is the plain network.
        score: in the group's metric.
        variant: short name of the same network here; None if it cannot be built here.
        cell: row and column of the table; empty where the row is called like the network.
        conditions: what of the group's recipe is not true for it.
    """

    name: str
    attention: str
    score: float
    variant: str | None
    cell: str = ""
    conditions: str = ""


@dataclass(frozen=True)
class Group:
    """Results to read beside each other, the plain network first where there is one."""

    key: str
    title: str
    source: str
    table: str
    link: str
    recipe: str
    same_recipe: bool
    warning: str
    results: tuple[Result, ...]
    column: str = "Top-1"
    metric: str = TOP1
    input_size: int = 224


ECA_RECIPE = (
    "ECA: 100 epochs, SGD with momentum 0.9, batches of 256, rate 0.1 divided by 10 every 30 epochs, weight decay "
    "1e-4, random crops of 224 and mirrored images. The other rows: as their papers trained them."
)
VERSIONS = (
    "The plain and SE accuracies are of the SE paper's networks, whose stride is in the first 1x1 of a block (v1); the "
    "counts beside them are, as in the ECA paper, of networks whose stride is in the 3x3 (v1.5)."
)


def _eca_table_3(key: str, title: str, *results: Result) -> Group:
    return Group(
        key=key,
        title=title,
        source="ECA-Net, CVPR 2020",
        table="Table 3",
        link=ECA_PAPER,
        recipe=ECA_RECIPE,
        same_recipe=False,
        warning="Not one recipe: rows come from several papers, so a difference may be the training, not the module. "
        f"{VERSIONS}",
        results=results,
    )


def _strikes_back(recipe: str, epochs: int, size: int, plain: float, se: float, note: str) -> Group:
    return Group(
        key=f"timm_{recipe}",
        title=f"ResNet-50 with and without SE, recipe {recipe.upper()}",
        source="timm's weights for ResNet strikes back, 2021",
        table="timm's results-imagenet.csv",
        link=STRIKES_BACK,
        recipe=f"{recipe.upper()}: {epochs} epochs, LAMB, binary cross-entropy, Mixup and CutMix; {note}.",
        same_recipe=True,
        warning=ONE_SEED,
        column="top1",
        input_size=size,
        results=(
            Result(f"resnet50.{recipe}_in1k", "none", plain, "resnet50/none"),
            Result(f"seresnet50.{recipe}_in1k", "se", se, "resnet50/se(bias=true)"),
        ),
    )


def _se_paper(key: str, title: str, table: str, *results: Result) -> Group:
    return Group(
        key=key,
        title=title,
        source="SE, CVPR 2018 and arXiv v4, ablations on ResNet-50",
        table=table,
        link=SE_PAPER,
        recipe="All trained by the authors in one way: fully connected layers without biases (r = 16: 28,071,976 "
        "parameters), SGD with momentum 0.9, rate 0.1 lowered three times at plateaus, about 300 epochs, label "
        "smoothing, random crops of 224 and mirrored images.",
        same_recipe=True,
        warning=f"{ONE_SEED} {FROM_ERROR}",
        column="top-1 err.",
        results=results,
    )


def _error(name: str, attention: str, error: float, variant: str | None, cell: str = "") -> Result:
    return Result(name, attention, round(100 - error, 2), variant, cell)


def _se(name: str, error: float, options: str = "", place: str = "", cell: str = "") -> Result:
    return _error(name, "se", error, f"resnet50(version=v1)/se{options}{place}", cell)


SE_PLAIN = _error("ResNet-50", "none", 23.30, "resnet50(version=v1)/none")

GROUPS: tuple[Group, ...] = (
    _eca_table_3(
        "eca_resnet50",
        "ResNet-50, as the ECA paper compares",
        Result("ResNet", "none", 75.20, "resnet50/none", conditions=FROM_SE_PAPER),
        Result("SENet", "se", 76.71, "resnet50/se", conditions=FROM_SE_PAPER),
        Result("CBAM", "cbam", 77.34, "resnet50/cbam", conditions="The CBAM paper's figure."),
        Result("GCNet", "gc", 77.70, "resnet50/gc", conditions="The GCNet paper's figure."),
        Result("ECA-Net", "eca", 77.48, "resnet50/eca(kernel_size=released)", conditions="k = 3, 5, 5, 7 by stage."),
    ),
    Group(
        key="timm_resnet33ts",
        title="resnet33ts: four networks, one recipe",
        source="timm's published weights, tested at 256 pixels",
        table="timm's results-imagenet.csv",
        link=TIMM,
        recipe="All trained by timm's author with the recipe that he calls ra2 (RandAugment), at 256 pixels.",
        same_recipe=True,
        warning="One run each: SE and ECA are 0.30 points apart, and that is undecided.",
        column="top1",
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
    Group(
        key="insight_resnet50",
        title="ResNet-50: SE, BAM, CBAM and SK under one recipe",
        source="PytorchInsight, by the SK paper's first author, 2019",
        table="README, Classification",
        link=INSIGHT,
        recipe="All trained in one way: 100 epochs, SGD with momentum 0.9, batches of 256 on 8 GPUs, rate 0.1 divided "
        "by 10 every 30 epochs, weight decay 1e-4, softmax cross-entropy, random crops and mirrored images.",
        same_recipe=True,
        warning=f"{ONE_SEED} Its SK-ResNet50 has 26.15 M parameters, as no SK unit here gives, so it is not counted.",
        column="Top-1 Acc",
        results=(
            Result("ResNet50", "none", 76.384, "resnet50/none"),
            Result("SE-ResNet50", "se", 77.184, "resnet50/se(bias=true)"),
            Result("BAM-ResNet50", "bam", 76.898, "resnet50/bam@published"),
            Result("CBAM-ResNet50", "cbam", 77.626, "resnet50/cbam"),
            Result("SK-ResNet50", "sk", 77.538, None),
        ),
    ),
    Group(
        key="sk_resnext50",
        title="ResNeXt-50: SK against BAM, CBAM and SE",
        source="SKNet, CVPR 2019, and its repository",
        table="Table 2",
        link=SKNET,
        recipe="Trained in Caffe with the SE paper's augmentation; tested on centre crops of 224 from a shorter side "
        "of 256. SENet-50 there is ResNeXt-50 with SE.",
        same_recipe=True,
        warning=f"{ONE_SEED} {FROM_ERROR} BAM's and CBAM's rows are not those papers' own figures.",
        column="Top-1 224x",
        results=(
            _error("ResNeXt-50", "none", 22.23, "resnext50/none"),
            _error("ResNeXt-50 + BAM", "bam", 21.70, "resnext50/bam@published"),
            _error("ResNeXt-50 + CBAM", "cbam", 21.40, "resnext50/cbam"),
            _error("SENet-50", "se", 21.12, "resnext50/se"),
            _error("SKNet-50", "sk", 20.79, "resnext50/sk@spatial"),
        ),
    ),
    Group(
        key="cbam_resnet50",
        title="ResNet-50, as the CBAM paper compares",
        source="CBAM, ECCV 2018",
        table="Table 4",
        link=CBAM_PAPER,
        recipe="All trained by the authors in one way: 90 epochs, rate from 0.1 dropping every 30 epochs, random crops "
        "and mirrored images; tested on single crops of 224.",
        same_recipe=True,
        warning=f"{ONE_SEED} {FROM_ERROR} The released checkpoint of CBAM reaches 77.622.",
        column="Top-1 Error (%)",
        results=(
            _error("ResNet50", "none", 24.56, "resnet50(version=v1)/none"),
            _error("ResNet50 + SE", "se", 23.14, "resnet50(version=v1)/se(bias=true)"),
            _error("ResNet50 + CBAM", "cbam", 22.66, "resnet50(version=v1)/cbam"),
        ),
    ),
    Group(
        key="ca_mobilenetv2",
        title="MobileNetV2: coordinate attention against SE and CBAM",
        source="Coordinate Attention, CVPR 2021, and its repository",
        table="README, Numerical results on ImageNet",
        link=COORD,
        recipe="All trained by the authors in one way: 200 epochs, cosine schedule, random crops, without label "
        "smoothing, random augmentation, erasing or Mixup. Attention on the hidden width; r = 24 for SE and CBAM, 32 "
        "for CA.",
        same_recipe=True,
        warning=f"{ONE_SEED} They are rounded to a tenth of a point.",
        column="Top 1",
        results=(
            Result("MobileNetV2-1.0", "none", 72.3, "mobilenetv2/none"),
            Result("MobileNetV2 + SE", "se", 73.5, "mobilenetv2/se(bias=true,reduction=24)@inner:2-7"),
            Result("MobileNetV2 + CBAM", "cbam", 73.6, "mobilenetv2/cbam(reduction=24)@inner:2-7"),
            Result("MobileNetV2 + CA", "coord", 74.3, "mobilenetv2/coord@published"),
        ),
    ),
    Group(
        key="gct_resnet50",
        title="ResNet-50 with and without gated channel transformation",
        source="GCT, CVPR 2020, its repository",
        table="README, Getting Started",
        link=GCT,
        recipe="Both trained with the repository's script; GCT before every convolution, its bias not decayed.",
        same_recipe=True,
        warning=f"{ONE_SEED} They are given as about 76.2 and 77.3; with a decayed bias about 77.5.",
        column="top-1 accuracy",
        results=(
            Result("ResNet50", "none", 76.2, None, "Without GCT"),
            Result("GCT-ResNet50", "gct", 77.3, None, "same as in the paper"),
        ),
    ),
    Group(
        key="danet_cityscapes",
        title="DANet: the position and the channel part, in segmentation",
        source="DANet, CVPR 2019",
        table="Table 1",
        link=DANET_PAPER,
        recipe="All trained by the authors in one way: dilated ResNet with output stride 8, SGD, polynomial schedule, "
        "crops of 768, mirrored images.",
        same_recipe=True,
        warning="One run each, and a segmentation network: these are no accuracies, and none of them is built here.",
        column="Mean IoU%",
        metric=MIOU,
        input_size=768,
        results=(
            Result("Dilated FCN, Res50", "none", 70.03, None, "Dilated FCN, Res50"),
            Result("PAM, Res50", "danet", 75.74, None, "DANet, Res50, PAM"),
            Result("CAM, Res50", "danet", 74.28, None, "DANet, Res50, CAM"),
            Result("DANet, Res50", "danet", 76.34, None, "DANet, Res50, PAM and CAM"),
            Result("Dilated FCN, Res101", "none", 72.54, None, "Dilated FCN, Res101"),
            Result("PAM, Res101", "danet", 77.03, None, "DANet, Res101, PAM"),
            Result("CAM, Res101", "danet", 76.55, None, "DANet, Res101, CAM"),
            Result("DANet, Res101", "danet", 77.57, None, "DANet, Res101, PAM and CAM"),
        ),
    ),
    Group(
        key="fca_basis",
        title="FcaNet-50: cosine waves, or any numbers?",
        source="FcaNet, ICCV 2021, its repository",
        table="README, FAQ",
        link=FCANET,
        recipe="All trained by the authors with the repository's recipe.",
        same_recipe=True,
        warning=f"{ONE_SEED} There is no plain network and no SE among them. The paper gives 78.52 for the last row.",
        column="ImageNet Top-1 Acc",
        results=(
            Result("Fixed tensor, random initialization", "fca", 77.742, None),
            Result("Learnable tensor, random initialization", "fca", 77.914, None),
            Result("Learnable tensor, DCT initialization", "fca", 78.352, None),
            Result("Fixed tensor, DCT initialization", "fca", 78.574, "resnet50/fca"),
        ),
    ),
    _se_paper(
        "se_reduction",
        "SE on ResNet-50: how narrow may the bottleneck be?",
        "Table 10",
        SE_PLAIN,
        *(
            _se(f"r = {reduction}", error, f"(reduction={reduction})", cell=f"ratio {reduction}")
            for reduction, error in ((2, 22.29), (4, 22.25), (8, 22.26), (16, 22.28), (32, 22.72))
        ),
    ),
    _se_paper(
        "se_squeeze",
        "SE on ResNet-50: maximum or mean?",
        "Table 11",
        _error("Max", "se", 22.57, None),
        _se("Avg", 22.28),
    ),
    _se_paper(
        "se_excitation",
        "SE on ResNet-50: which gate?",
        "Table 12",
        _error("ReLU", "se", 23.47, None),
        _error("Tanh", "se", 23.00, None),
        _se("Sigmoid", 22.28),
    ),
    _se_paper(
        "se_stages",
        "SE on ResNet-50: in which stage? The paper counts the stem as the first.",
        "Table 13",
        SE_PLAIN,
        _se("SE Stage 2", 23.03, place="@standard:1"),
        _se("SE Stage 3", 23.04, place="@standard:2"),
        _se("SE Stage 4", 22.68, place="@standard:3"),
        _se("SE All", 22.28),
    ),
    _se_paper(
        "se_place",
        "SE on ResNet-50: where in the block?",
        "Tables 14 and 15",
        _se("standard", 22.28, cell="Table 14, SE"),
        _se("pre", 22.23, place="@pre", cell="Table 14, SE-PRE"),
        _se("identity", 22.20, place="@identity", cell="Table 14, SE-Identity"),
        _se("post", 22.78, place="@post", cell="Table 14, SE-POST"),
        _se("after the 3x3", 22.48, place="@inner", cell="Table 15, SE_3x3"),
    ),
    Group(
        key="eca_controls",
        title="ResNet-50: what does each part of SE do?",
        source="ECA-Net, CVPR 2020",
        table="Table 2",
        link=ECA_PAPER,
        recipe=ECA_RECIPE.replace("ECA:", "SE-Var1 to 3, ECA-NS and ECA:"),
        same_recipe=False,
        warning=f"The controls and ECA share a recipe; the plain network and SE do not. {ONE_SEED} {VERSIONS}",
        results=(
            Result("Vanilla", "none", 75.20, "resnet50/none", conditions=FROM_SE_PAPER),
            Result("SE", "se", 76.71, "resnet50/se", conditions=FROM_SE_PAPER),
            Result("SE-Var1", "se_var1", 76.00, "resnet50/se_var1"),
            Result("SE-Var2", "se_var2", 77.07, "resnet50/se_var2"),
            Result("SE-Var3", "se_var3", 77.42, "resnet50/se_var3"),
            Result("ECA-NS", "eca_ns", 77.35, "resnet50/eca_ns"),
            Result("ECA (Ours)", "eca", 77.43, "resnet50/eca(kernel_size=3)", conditions="k = 3."),
        ),
    ),
    _eca_table_3(
        "eca_resnet101",
        "ResNet-101, as the ECA paper compares",
        Result("ResNet", "none", 76.83, "resnet101/none", conditions=FROM_SE_PAPER),
        Result("SENet", "se", 77.62, "resnet101/se", conditions=FROM_SE_PAPER),
        Result("CBAM", "cbam", 78.49, "resnet101/cbam", conditions="The CBAM paper's figure."),
        Result("ECA-Net", "eca", 78.65, "resnet101/eca(kernel_size=released)", conditions="k = 3, 3, 5, 7 by stage."),
    ),
    _eca_table_3(
        "eca_resnet152",
        "ResNet-152, as the ECA paper compares",
        Result("ResNet", "none", 77.58, "resnet152/none", conditions=FROM_SE_PAPER),
        Result("SENet", "se", 78.43, "resnet152/se", conditions=FROM_SE_PAPER),
        Result("ECA-Net", "eca", 78.92, "resnet152/eca(kernel_size=released)", conditions="k = 3, 3, 5, 7 by stage."),
    ),
    Group(
        key="eca_mobilenetv2",
        title="MobileNetV2, as the ECA paper compares",
        source="ECA-Net, CVPR 2020, with its section 4.2.2",
        table="Table 3",
        link=ECA_PAPER,
        recipe='All trained by the authors with "exactly the same settings": 400 epochs, SGD.',
        same_recipe=True,
        warning=ONE_SEED,
        results=(
            Result("MobileNetV2", "none", 71.64, "mobilenetv2/none"),
            Result("SENet", "se", 72.42, "mobilenetv2/se(reduction=8)"),
            Result("ECA-Net", "eca", 72.56, "mobilenetv2/eca(kernel_size=released)"),
        ),
    ),
)
"""Every group. The figures are the sources' own; ECA-Net's 77.48 is the paper's, and its repository has said 77.42."""
