"""Modules in networks that find or outline things: none of these networks is built here."""

from attention.counting.published.records import ONE_SEED, Group, Result

MIOU = "mean IoU on Cityscapes validation images, %"
BOX_AP = "average precision of boxes on COCO validation images, %"

DANET_PAPER = "https://arxiv.org/abs/1809.02983"
GCNET = "https://github.com/xvjiarui/GCNet"


def _gcnet(key: str, title: str, conditions: str, plain: float, r16: float, r4: float) -> Group:
    return Group(
        key=key,
        title=title,
        source="GCNet, its repository",
        table="README, Main Results, R-50-FPN",
        link=GCNET,
        recipe=f"All trained by the authors in one way: Mask R-CNN on ResNet-50 with FPN, {conditions}. GC after the "
        "last 1x1 convolution of the blocks of the second, third and fourth stage.",
        same_recipe=True,
        warning=f"{ONE_SEED} These are no accuracies. The repository's figures are of code rewritten after the paper.",
        column="box AP",
        metric=BOX_AP,
        input_size=800,
        results=(
            Result("Mask R-CNN, R-50-FPN", "none", plain, None, "Context -"),
            Result("Mask R-CNN, R-50-FPN, GC r = 16", "gc", r16, None, "Context GC(c3-c5, r16)"),
            Result("Mask R-CNN, R-50-FPN, GC r = 4", "gc", r4, None, "Context GC(c3-c5, r4)"),
        ),
    )


DETECTION: tuple[Group, ...] = (
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
    _gcnet(
        "gc_coco",
        "Mask R-CNN with and without GC blocks: boxes",
        "BatchNorm fixed and a head of two fully connected layers, schedule 1x",
        37.3,
        38.5,
        38.9,
    ),
    _gcnet(
        "gc_coco_2x",
        "Mask R-CNN with and without GC blocks, trained twice as long: boxes",
        "BatchNorm fixed and a head of two fully connected layers, schedule 2x",
        38.2,
        39.7,
        40.0,
    ),
    _gcnet(
        "gc_coco_sync",
        "Mask R-CNN with and without GC blocks, BatchNorm trained along: boxes",
        "BatchNorm over all GPUs in the backbone and in a head of four convolutions, schedule 1x",
        38.8,
        41.0,
        41.4,
    ),
)
