"""One network with several modules: which of them gained more?"""

from attention.counting.published.records import (
    ECA_PAPER,
    ECA_RECIPE,
    FROM_ERROR,
    FROM_SE_PAPER,
    ONE_SEED,
    VERSIONS,
    Group,
    Result,
    error,
)

CBAM_PAPER = "https://arxiv.org/abs/1807.06521"
SKNET = "https://github.com/implus/SKNet"
INSIGHT = "https://github.com/implus/PytorchInsight"
COORD = "https://github.com/houqb/CoordAttention"
GCT = "https://github.com/z-x-yang/GCT"
SRMNET = "https://github.com/EvgenyKashin/SRMnet"
STRIKES_BACK = "https://arxiv.org/abs/2110.00476"
TIMM = "https://github.com/huggingface/pytorch-image-models/blob/main/results/results-imagenet.csv"


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


def _gct(depth: int, plain: float, gct: float, decayed: float) -> Group:
    return Group(
        key=f"gct_resnet{depth}",
        title=f"ResNet-{depth} with and without gated channel transformation",
        source="GCT, CVPR 2020, its repository",
        table="TensorFlow/README, Performance",
        link=GCT,
        recipe="All trained by the authors with the repository's TensorFlow code on four GPUs; GCT before every "
        "convolution.",
        same_recipe=True,
        warning=f"{ONE_SEED} They are rounded to a tenth of a point, and another run should come close to them.",
        column="top-1 %",
        results=(
            Result(f"ResNet-{depth}", "none", plain, None, f"ResNet-{depth}, Original"),
            Result(
                f"GCT-ResNet-{depth}",
                "gct",
                gct,
                None,
                f"ResNet-{depth}, +GCT (no WD on beta)",
                "The gates' bias is not decayed, as in the paper.",
            ),
            Result(
                f"GCT-ResNet-{depth}, decayed bias",
                "gct",
                decayed,
                None,
                f"ResNet-{depth}, +GCT (WD on beta)",
                "The gates' bias is decayed like every weight.",
            ),
        ),
    )


CIFAR10 = "accuracy on CIFAR-10 test images, %"
SHORTCUTS = "Its shortcuts are convolutions: 2,752 parameters more than here."


COMPARISONS: tuple[Group, ...] = (
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
            error("ResNeXt-50", "none", 22.23, "resnext50/none"),
            error("ResNeXt-50 + BAM", "bam", 21.70, "resnext50/bam@published"),
            error("ResNeXt-50 + CBAM", "cbam", 21.40, "resnext50/cbam"),
            error("SENet-50", "se", 21.12, "resnext50/se"),
            error("SKNet-50", "sk", 20.79, "resnext50/sk@spatial"),
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
            error("ResNet50", "none", 24.56, "resnet50(version=v1)/none"),
            error("ResNet50 + SE", "se", 23.14, "resnet50(version=v1)/se(bias=true)"),
            error("ResNet50 + CBAM", "cbam", 22.66, "resnet50(version=v1)/cbam"),
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
    _gct(50, 76.2, 77.3, 77.7),
    _gct(101, 77.8, 78.6, 78.5),
    _gct(152, 78.4, 79.2, 79.0),
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
    Group(
        key="srm_resnet32",
        title="ResNet-32 on CIFAR-10: SE and SRM",
        source="SRMnet, a reimplementation by others than the paper's authors, 2019",
        table="README, Results, Cifar10",
        link=SRMNET,
        recipe="All trained in one way: 100 epochs, SGD with momentum 0.9, batches of 128, rate 0.1 divided by 10 "
        "after 70 and 80 epochs, weight decay 1e-4.",
        same_recipe=True,
        warning=f"{ONE_SEED} They are rounded to a tenth of a point.",
        column="accuracy",
        metric=CIFAR10,
        input_size=32,
        results=(
            Result("ResNet32", "none", 92.1, "resnet32/none?classes=10", conditions=SHORTCUTS),
            Result("Se-ResNet32", "se", 92.5, "resnet32/se?classes=10", conditions=SHORTCUTS),
            Result("SRM-ResNet32", "srm", 92.9, "resnet32/srm?classes=10", conditions=SHORTCUTS),
        ),
    ),
)
