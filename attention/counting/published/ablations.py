"""One module in several ways: which part, size or place of it matters?"""

from attention.counting.published.records import (
    ECA_PAPER,
    ECA_RECIPE,
    FROM_ERROR,
    FROM_SE_PAPER,
    ONE_SEED,
    SE_PAPER,
    VERSIONS,
    Group,
    Result,
    error,
)

FCANET = "https://github.com/cfzd/FcaNet"
TRIPLET = "https://github.com/landskape-ai/triplet-attention"


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


def _se(name: str, percent: float, options: str = "", place: str = "", cell: str = "") -> Result:
    return error(name, "se", percent, f"resnet50(version=v1)/se{options}{place}", cell)


def _triplet(key: str, depth: int, *percents: tuple[int, float]) -> Group:
    return Group(
        key=key,
        title=f"Triplet attention on ResNet-{depth}: convolutions of 3 or of 7?",
        source="Triplet attention, WACV 2021, its repository",
        table="README, Pretrained Models, ImageNet",
        link=TRIPLET,
        recipe="Both trained by the authors with the repository's script: 100 epochs, batches of 256, rate 0.1 divided "
        "by 10 every 30 epochs.",
        same_recipe=True,
        warning=f"{ONE_SEED} {FROM_ERROR} There is no plain network beside them: its figure is in the paper only.",
        column="Top-1 Error",
        results=tuple(
            error(
                f"ResNet-{depth} + Triplet Attention (k = {side})",
                "triplet",
                percent,
                f"resnet{depth}/triplet(kernel_size={side})",
            )
            for side, percent in percents
        ),
    )


SE_PLAIN = error("ResNet-50", "none", 23.30, "resnet50(version=v1)/none")

ABLATIONS: tuple[Group, ...] = (
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
            _se(f"r = {reduction}", percent, f"(reduction={reduction})", cell=f"ratio {reduction}")
            for reduction, percent in ((2, 22.29), (4, 22.25), (8, 22.26), (16, 22.28), (32, 22.72))
        ),
    ),
    _se_paper(
        "se_squeeze",
        "SE on ResNet-50: maximum or mean?",
        "Table 11",
        error("Max", "se", 22.57, None),
        _se("Avg", 22.28),
    ),
    _se_paper(
        "se_excitation",
        "SE on ResNet-50: which gate?",
        "Table 12",
        error("ReLU", "se", 23.47, None),
        error("Tanh", "se", 23.00, None),
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
    _triplet("triplet_resnet18", 18, (3, 29.67), (7, 28.91)),
    _triplet("triplet_resnet50", 50, (3, 23.88), (7, 22.52)),
)
