"""Templates of what published results say of themselves: titles, recipes, conditions, where they stand."""

from dashboard.language import marked

PUBLISHED = (
    marked("Table %(number)s"),
    marked("Tables %(number)s and %(number_2)s"),
    marked("%(paper)s, its repository"),
    marked("%(paper)s, and its repository"),
    marked("%(paper)s, with its section %(section)s"),
    marked("timm's published weights, tested at 256 pixels"),
    marked("timm's weights for ResNet strikes back, 2021"),
    marked("timm's results-imagenet.csv"),
    marked("%(source)s, timm's results-imagenet.csv, %(network)s against %(baseline)s"),
    marked("PytorchInsight, by the SK paper's first author, 2019"),
    marked("SRMnet, a reimplementation by others than the paper's authors, 2019"),
    marked("SE, CVPR 2018 and arXiv v4, ablations on ResNet-50"),
    marked("The figure of the SE paper's reimplementation."),
    marked("The CBAM paper's figure."),
    marked("The GCNet paper's figure."),
    marked("k = %(sizes)s by stage."),
    marked("The gates' bias is not decayed, as in the paper."),
    marked("The gates' bias is decayed like every weight."),
    marked("Its shortcuts are convolutions: 2,752 parameters more than here."),
    marked(
        "%(recipe)s: %(epochs)s epochs, LAMB, binary cross-entropy, Mixup and CutMix; trained and tested at "
        "%(pixels)s pixels."
    ),
    marked("ResNet-50: SE, BAM, CBAM and SK under one recipe"),
    marked(
        "All trained in one way: 100 epochs, SGD with momentum 0.9, batches of 256 on 8 GPUs, rate 0.1 divided "
        "by 10 every 30 epochs, weight decay 1e-4, softmax cross-entropy, random crops and mirrored images."
    ),
    marked("Its SK-ResNet50 has 26.15 M parameters, as no SK unit here gives, so it is not counted."),
    marked("ResNeXt-50: SK against BAM, CBAM and SE"),
    marked(
        "Trained in Caffe with the SE paper's augmentation; tested on centre crops of 224 from a shorter side of "
        "256. SENet-50 there is ResNeXt-50 with SE."
    ),
    marked("Top-1 is 100 minus the error that the paper gives."),
    marked("BAM's and CBAM's rows are not those papers' own figures."),
    marked("ResNet-50, as the CBAM paper compares"),
    marked(
        "All trained by the authors in one way: 90 epochs, rate from 0.1 dropping every 30 epochs, random crops "
        "and mirrored images; tested on single crops of 224."
    ),
    marked("The released checkpoint of CBAM reaches 77.622."),
    marked("MobileNetV2: coordinate attention against SE and CBAM"),
    marked(
        "All trained by the authors in one way: 200 epochs, cosine schedule, random crops, without label "
        "smoothing, random augmentation, erasing or Mixup. Attention on the hidden width; r = 24 for SE and "
        "CBAM, 32 for CA."
    ),
    marked("They are rounded to a tenth of a point."),
    marked("They are rounded to a tenth of a point, and another run should come close to them."),
    marked("ResNet-%(depth)s with and without gated channel transformation"),
    marked(
        "All trained by the authors with the repository's TensorFlow code on four GPUs; GCT before every convolution."
    ),
    marked("%(backbone)s, as the ECA paper compares"),
    marked('All trained by the authors with "exactly the same settings": 400 epochs, SGD.'),
    marked("ResNet-32 on CIFAR-10: SE and SRM"),
    marked(
        "All trained in one way: 100 epochs, SGD with momentum 0.9, batches of 128, rate 0.1 divided by 10 after "
        "70 and 80 epochs, weight decay 1e-4."
    ),
    marked("accuracy on CIFAR-10 test images, %"),
    marked("ResNet-50: what does each part of SE do?"),
    marked(
        "SE-Var1 to 3, ECA-NS and ECA: 100 epochs, SGD with momentum 0.9, batches of 256, rate 0.1 divided by 10 "
        "every 30 epochs, weight decay 1e-4, random crops of 224 and mirrored images. The other rows: as their "
        "papers trained them."
    ),
    marked("The controls and ECA share a recipe; the plain network and SE do not."),
    marked("k = 3."),
    marked("FcaNet-50: cosine waves, or any numbers?"),
    marked("All trained by the authors with the repository's recipe."),
    marked("There is no plain network and no SE among them."),
    marked("The paper gives 78.52 for the last row."),
    marked("SE on ResNet-50: how narrow may the bottleneck be?"),
    marked("SE on ResNet-50: maximum or mean?"),
    marked("SE on ResNet-50: which gate?"),
    marked("SE on ResNet-50: in which stage? The paper counts the stem as the first."),
    marked("SE on ResNet-50: where in the block?"),
    marked(
        "All trained by the authors in one way: fully connected layers without biases (r = 16: 28,071,976 "
        "parameters), SGD with momentum 0.9, rate 0.1 lowered three times at plateaus, about 300 epochs, label "
        "smoothing, random crops of 224 and mirrored images."
    ),
    marked("Triplet attention on ResNet-%(depth)s: convolutions of 3 or of 7?"),
    marked(
        "Both trained by the authors with the repository's script: 100 epochs, batches of 256, rate 0.1 divided "
        "by 10 every 30 epochs."
    ),
    marked("There is no plain network beside them: its figure is in the paper only."),
    marked("DANet: the position and the channel part, in segmentation"),
    marked(
        "All trained by the authors in one way: dilated ResNet with output stride 8, SGD, polynomial schedule, "
        "crops of 768, mirrored images."
    ),
    marked("One run each, and a segmentation network: these are no accuracies, and none of them is built here."),
    marked("mean IoU on Cityscapes validation images, %"),
    marked("Mask R-CNN with and without GC blocks: boxes"),
    marked("Mask R-CNN with and without GC blocks, trained twice as long: boxes"),
    marked("Mask R-CNN with and without GC blocks, BatchNorm trained along: boxes"),
    marked(
        "All trained by the authors in one way: Mask R-CNN on ResNet-50 with FPN, %(conditions)s. GC after the "
        "last 1x1 convolution of the blocks of the second, third and fourth stage."
    ),
    marked("BatchNorm fixed and a head of two fully connected layers, schedule %(schedule)s"),
    marked("BatchNorm over all GPUs in the backbone and in a head of four convolutions, schedule %(schedule)s"),
    marked("These are no accuracies."),
    marked("The repository's figures are of code rewritten after the paper."),
    marked("average precision of boxes on COCO validation images, %"),
)
"""Sentences with values, which may be sentences again."""
