"""Templates of what single analyses say of themselves: conditions, what was left out, what to know before reading."""

from dashboard.language import marked

CAVEATS = (
    marked("No gate can be replaced by kind '%(kind)s'."),
    marked("Alone, gate %(gate)s changes the predictions most: replacing it %(single)s."),
    marked("A block's spatial convolution, at the place 'spatial': it becomes one of the module's branches."),
    marked(
        "Grad-CAM (Selvaraju et al., ICCV 2017, arXiv:1610.02391): channels of a feature map, weighted by the "
        "mean over places of the logit's derivative, summed, and cut off at 0. Each map is divided by its own "
        "maximum, so maps show where, and not how much: compare their maxima for that, within one network only."
    ),
    marked(
        "%(empty)s of %(maps)s maps are empty (%(where)s): no place of the feature map speaks for the class "
        "there, only against it."
    ),
    marked("Heat maps are as coarse as the feature map (%(size)s): drawn smoothly they look sharper than they are."),
    marked("The networks' feature maps differ in size, so their maps differ in sharpness."),
    marked(
        "The module alone in float64 with the network's weights, at the channel means of the map that arrives at "
        "it on this photo. Its gate is a function of these means alone."
    ),
    marked(
        "The module alone in float64 with the network's weights, on the map that arrives at it on this photo. "
        "Its gate sees more of the map than channel means: the matrix says what happens when all pixels of a "
        "channel move alike."
    ),
    marked(
        "The channels of the map that arrives are put into one random order (the same for all modules of one "
        "width, drawn from the seed), the gate is put back, and compared with the gate of the map as it was; "
        "float64, eval mode. 'Weights stay': nothing else changes. 'Weights follow': every axis of a parameter "
        "or a running statistic that is as long as there are channels (or m times, as m rows of channels) is put "
        "into the same order; fixed bases, such as FcaNet's cosines, stay. Lone modules have every parameter "
        "drawn from N(0, 0.5²), so that nothing hides behind a start at zero, and see two maps of standard "
        "normal noise; those in networks have their own weights."
    ),
    marked("The order of channels makes no difference: no weight belongs to a channel or to a neighbourhood."),
    marked(
        "Weights belong to channels: put both into another order, and nothing changes. The order itself means nothing."
    ),
    marked(
        "The order of channels matters, and no order of the weights makes up for it: which channels are "
        "neighbours, or of one group, is built in."
    ),
    marked("Its gate is one constant here, whatever the order of channels: there is nothing to be seen."),
    marked("It does not take %(channels)s channels: %(reason)s"),
    marked("It chooses between two maps, and sees one that has other channels: there is no one order to change."),
    marked("blind to it"),
    marked("carried by the weights"),
    marked("in its structure"),
    marked(
        "%(network)s has no gate that chooses among branches. Ask for a network with selective kernels, such as "
        "%(example)s."
    ),
    marked(
        "Enlarging also blurs, and cuts off what is around the middle; no branch knows which of them moved its weight."
    ),
    marked("One image has no spread, so there are no intervals."),
    marked("Each channel's weight of the last branch minus that of the first."),
    marked("The same number for every channel and every image, so without shares: %(gates)s."),
    marked(
        "Fewer than %(few)s images of %(classes)s: part of what separates the curves is chance. The SE paper "
        "takes 50 a class."
    ),
    marked("The mean over places of each channel's weights."),
    marked("The mean over rows of each channel's weights."),
    marked("The mean over columns of each channel's weights."),
    marked("Each channel's weight of the last branch, which sees the most pixels; over all branches they sum to 1."),
    marked("Gates of kind '%(kind)s' in %(network)s, such as %(path)s, are left out: %(reason)s."),
    marked("its weights are those of places, shared by all channels"),
    marked("its weights are those between pairs, and none is one channel's alone"),
    marked(
        "The folded network is another one than its name says, so it is not kept. "
        "attention.interventions.fold.fold_model(build(variant), images) gives it."
    ),
    marked(
        "The trained network has no card, so the folded one is kept without: class names and preprocessing are "
        "not beside it. It was tried at %(size)s pixels (shorter side %(resize)s), mean %(mean)s, deviation "
        "%(std)s."
    ),
    marked(
        "In float32 on this device the folded network's logits differ by up to %(error)s of the largest from "
        "those with mean gates: its rounding is coarse. In double precision they are the same."
    ),
    marked(
        "The runs are judged unpaired, for %(why)s. With a column seed, and the same seeds in every arm, runs of "
        "one seed are compared, which guards against a lucky baseline."
    ),
    marked("the files have no seeds"),
    marked("you said so"),
    marked("Run in ONNX Runtime %(version)s, exported with a free batch and, if possible, size."),
    marked(
        "Quantiles say where a photo lies among the own images; they are no probability that it is of one of the "
        "classes. Both scores miss photos that look like a class and are none."
    ),
    marked("This study is not complete: its numbers may change."),
    marked("The data has no train and test folders; a fifth is kept for the test, by the hash of each file."),
    marked("About %(train)s of the %(images)s images are for training, and may not fill one batch of %(batch)s."),
    marked("Seed %(seed)s lies far from the others (%(value)s; median %(median)s): look at this run."),
    marked("One test image is %(worth)s %(unit)s; a margin of %(margin)s cannot be seen."),
    marked(
        "Kind 'constant' puts in one value everywhere. Where that is not the gates' mean it changes the scale of "
        "every gated branch: what the network loses is a scale artefact, not attention's value."
    ),
    marked(
        "Kind 'neutral' is left out where a gate chooses among branches or places, for it has no neutral weight: "
        "%(gates)s."
    ),
    marked("Some of the calibration images may be among those tried."),
    marked("The gates put in are those of some of the images tried."),
    marked("%(data)s has no images to train on, so the gates put in are those of the images tried."),
    marked("A module that runs more than once is counted by its last run."),
    marked("It counts convolutions and matrix products by the kernels that run them, and knows other kernels."),
)
"""Sentences with values, which may be sentences again."""
