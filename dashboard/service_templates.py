"""Templates of the sentences that the service says in English, for their translation."""

from dashboard.caveat_templates import CAVEATS
from dashboard.language import marked
from dashboard.published_templates import PUBLISHED
from dashboard.refusal_templates import REFUSED
from dashboard.verdict_templates import VERDICTS

TEMPLATES = (
    marked(
        "This service uses no network (HF_HUB_OFFLINE). On a machine with a network: attention-lab fetch NAME --data "
        "FOLDER; then copy FOLDER/hub into the data folder here."
    ),
    marked(
        "%(host)s cannot be reached from this machine now. On a machine with a network: attention-lab fetch NAME "
        "--data FOLDER; then copy FOLDER/hub into the data folder here."
    ),
    marked(
        "Replacing every gate ('%(kind)s') %(effect)s. Alone, gate %(gate)s changes the predictions most: replacing "
        "it %(single)s."
    ),
    marked("Replacing every gate ('%(kind)s') %(effect)s."),
    marked("Replacing %(gates)s ('%(kind)s') changes the predictions most: it %(effect)s."),
    marked(
        "changes top-1 by %(change)s points %(interval)s and keeps the first class of %(share)s of %(images)s images"
    ),
    marked("keeps the first class of %(share)s of %(images)s images, KL %(kl)s nats"),
    marked(
        "Images are paired: each is compared with itself. Change of accuracy: Bonett-Price adjusted Wald interval "
        "(2012), McNemar's exact test, Holm-corrected over all effects of the report. KL, probabilities and "
        "redundancy: percentile bootstrap over images, 1,000 draws. All intervals are of 95 %, about other images of "
        "the same kind, for this one network: what another training seed would give is not in them."
    ),
    marked(
        "Without its attention, mean gates worked in, %(effect)s; it has %(parameters)s parameters less, and its "
        "%(clock)s is %(change)s."
    ),
    marked(
        "Without its attention, mean gates worked in, %(effect)s; it has %(parameters)s parameters less. Its time "
        "could not be told here."
    ),
    marked("Without its attention, mean gates worked in, %(effect)s; it has %(parameters)s parameters less."),
    marked("Without its attention, mean gates worked in, %(effect)s."),
    marked("top-1 changes by %(change)s points %(interval)s on %(images)s images"),
    marked("%(share)s of %(images)s images keep their class"),
    marked("CPU time"),
    marked("train"),
    marked("wall-clock time"),
    marked(
        "Images are paired: each is compared with itself. Change of accuracy: Bonett-Price adjusted Wald interval "
        "(2012), 95 %, and McNemar's exact test. KL in nats. Times: in each round every network runs once, in a new "
        "order; ratios within a round; median with an interval from order statistics."
    ),
    marked("None of %(checks)s checks finds a reason why the attention should not help."),
    marked("%(troubles)s of %(checks)s checks find trouble: %(sentences)s"),
    marked(
        "The narrowest bottleneck has %(least)s unit; %(narrow)s of %(all)s have %(bound)s or fewer, which can die and "
        "then no longer see the image."
    ),
    marked(
        "The %(count)s networks do not all give the same first class on %(share)s of %(images)s images. Replacing "
        "all gates ('%(kind)s') changes the first class of %(shares)s."
    ),
    marked("The %(count)s networks do not all give the same first class on %(share)s of %(images)s images."),
    marked("%(share)s of %(images)s for %(network)s, %(others)s"),
    marked("%(share)s of %(images)s for %(network)s"),
    marked("The list has %(listed)s of %(all)s images on which first classes differ."),
    marked(
        "Divergences are Jensen-Shannon divergences with equal weights between softmax predictions (Lin 1991), by "
        "their maximum: 0 where all say the same, 1 where each is sure of another class. The list has images whose "
        "first classes differ, by divergence. Kappa is Cohen's (1960). p is McNemar's exact test over images, not "
        "corrected for how many pairs are compared, and says nothing of other training seeds."
    ),
    marked("%(images)s images of %(data)s (%(split)s split), drawn by seed %(seed)s"),
    marked("Against %(baseline)s: %(timings)s."),
    marked(
        "Wall-clock time of a forward pass of %(images)s of %(size)s pixels in %(dtype)s, mode %(mode)s, "
        "%(threads)s, on %(device)s, torch %(torch)s, %(date)s. Medians over %(rounds)s, every network once a round "
        "in a new order, %(baseline)s twice; intervals from order statistics with a confidence of %(confidence)s. "
        "Two timings of the baseline differ by a ratio of %(ratio)s. Bytes are the ledger's; predicted is extra "
        "bytes by a bandwidth of %(bandwidth)s GB/s, measured here."
    ),
    marked("%(count)s CPU thread"),
    marked("%(count)s CPU threads"),
    marked("%(rounds)s rounds after %(warm_up)s to warm up"),
    marked("Times are of the forward pass alone: no decoding, no copying to the device."),
    marked("On a CPU maps that fit a cache move faster than memory does, so less than predicted is expected."),
    marked("The predicted extra time is of the unfused module form, which this mode does not run."),
    marked(
        "No number is given: two timings of the same network differ by up to %(off)s here (ratio %(ratio)s, "
        "%(rounds)s rounds), and %(tolerance)s is allowed. Ask again when the machine is idle, or for more rounds."
    ),
    marked(
        "Products of bounded tensors that cannot be read as gates: %(count)s. They are left alone. Where one is a "
        "gate, point at the submodule that gives its weights: %(example)s, with the path of the activation."
    ),
    marked(
        "%(model)s has no gates: %(convolutions)s convolutions, %(products)s products with a bounded weight in one "
        "pass. Attach one (attention.attach), or point at a submodule: %(example)s."
    ),
    marked("The model is as it was given; the attention that was put into it has not been trained."),
    *VERDICTS,
    *PUBLISHED,
    *REFUSED,
    *CAVEATS,
    marked(
        "%(name)s: %(train)s to train on, none for validation, so curves are of the test images, %(test)s to test on."
    ),
    marked("%(name)s: %(train)s to train on, %(validation)s for validation, %(test)s to test on."),
    marked(
        "%(name)s: %(train)s to train on, %(validation)s for validation, %(test)s to test on. %(unused)s validation "
        "images are not used."
    ),
    marked("%(count)s cut from them by the hash of each file"),
    marked("%(count)s of the data's own"),
    marked(
        "%(data)s, %(side)s x %(side_2)s pixels, %(epochs)s epochs, batch %(batch)s, %(seeds)s paired seeds, "
        "%(device)s."
    ),
    marked("In training, at least %(images)s images a batch: it normalises pooled numbers over them."),
    marked("The side of the maps where it sits: its size is set for the network's own input size."),
    marked("Not any number of channels will do: %(reason)s"),
    marked("A fresh module is exactly the identity: in a trained network it changes nothing until it is trained."),
    marked(
        "A fresh module gives something else than its input (correlation %(correlation)s): a trained network that it "
        "is put into has to be trained again."
    ),
    marked(
        "A fresh module leaves %(ratio)s of its input's standard deviation and changes its pattern (correlation "
        "%(correlation)s): after a trained block's last normalisation, that block's residual branch starts at "
        "%(share)s of what it was."
    ),
    marked(
        "A fresh module leaves %(ratio)s of its input's standard deviation: after a trained block's last "
        "normalisation, that block's residual branch starts at %(share)s of what it was."
    ),
    marked("Its weights do not depend on the image: it is a control."),
    marked(
        "Its weights grow with the square of the pixels: a map of %(side)s x %(side_2)s takes %(size)s MB an image in "
        "float32. Late stages suit it."
    ),
    marked("It has weights of which none passes the input through: they cannot be ablated to neutral."),
    marked("One run each: SE and ECA are %(points)s points apart, and that is undecided."),
    marked("%(units)s at %(channels)s channels, %(more)s"),
    marked("%(units)s at %(channels)s channels"),
    marked(
        "The gates put in are those of the %(count)s sample photos, for photos have no data set. Name calibration "
        "images that are like what the network was trained on for a better mean."
    ),
    marked(
        "Not one recipe: rows come from several papers, so a difference may be the training, not the module. %(more)s"
    ),
    marked(
        "The plain and SE accuracies are of the SE paper's networks, whose stride is in the first 1x1 of a block (v1); "
        "the counts beside them are, as in the ECA paper, of networks whose stride is in the 3x3 (v1.5)."
    ),
    marked("The networks differ in %(what)s (%(values)s), so a difference between them need not come from attention."),
    marked("How %(networks)s was trained is not known; a difference may come from training."),
    marked(
        "Photos are prepared in another way than for the accuracies on the networks' cards, which do not hold here."
    ),
    marked("One run each: nobody published how much another seed would change, so small differences are undecided."),
    marked(
        "ECA: 100 epochs, SGD with momentum 0.9, batches of 256, rate 0.1 divided by 10 every 30 epochs, weight decay "
        "1e-4, random crops of 224 and mirrored images. The other rows: as their papers trained them."
    ),
    marked("All trained by timm's author with the recipe that he calls ra2 (RandAugment), at 256 pixels."),
    marked("%(factor)s for each multiply-accumulate."),
    marked("A linear layer counts 2 in - 1 for each output, a convolution one for each product."),
    marked("%(factor)s for each entry of a batch normalisation."),
    marked(
        "%(factor)s for each entry of a batch normalisation (eval mode), %(others)s of others with scale and shift."
    ),
    marked("%(factor)s for each entry of a normalisation with scale and shift, %(others)s without."),
    marked("%(factor)s for each entry of a normalisation."),
    marked("One for each entry of a ReLU module, of its last call only."),
    marked("One for each entry of a ReLU module, or of F.relu."),
    marked("Modules that call a patched function are counted by their hook and by the patch."),
    marked("One for each entry read by a pooling module, or by F.adaptive_avg_pool2d."),
    marked("One for each output of a layer with bias."),
    marked("As many as a normalisation has parameters, whatever the size of the map."),
    marked("One for each entry of F.relu and its like, which ReLU modules call; torch.relu is not seen."),
    marked("One for each entry read by pooling functions and modules, but none for a mean."),
    marked(
        "Random weights, drawn from the seed, in float64. Derivatives of the gate's entries in the middle of a map of "
        "%(side)s x %(side_2)s places by every entry of the map; over %(maps)s maps of noise the largest counts. "
        "Training changes the values; where zeros are, and how large the rank can be, is the module's structure."
    ),
    marked("The same for every image, so no image opens or closes it: %(gates)s."),
    marked("There is no %(kind)s named '%(name)s'. Did you mean '%(near)s'?"),
    marked("There is no %(kind)s named '%(name)s'. There is: %(known)s."),
    marked(
        "%(network)s has no attention, so it has no gates. Ask for a network with channel weights, such as se or eca."
    ),
    marked(
        "The API does not answer at %(address)s. Start it with `make run` or `python -m server`; if it runs "
        "elsewhere, set ATTENTION_API to its address and start the dashboard again."
    ),
    marked(
        "The API at %(address)s took too long over %(question)s. It may be busy with other work: try again, or ask "
        "for fewer images and variants at once."
    ),
    marked("This is a bug in the service, not in the request. Its log tells more under the id %(number)s."),
    marked("The file is empty. Send the bytes of a photo."),
    marked("The file is %(kind)s, not an image of a known format. %(advice)s"),
    marked("No run has a result. The first: %(reason)s"),
    marked("attention module"),
    marked("data set"),
    marked("%(done)s of %(total)s images"),
    marked("%(done)s images"),
    marked("%(runs)s runs on %(images)s images"),
    marked("%(arm)s, seed %(seed)s: epoch %(epoch)s of %(epochs)s"),
    marked("%(arm)s, seed %(seed)s: done, %(accuracy)s %%"),
    marked("%(arm)s, seed %(seed)s: no result. %(reason)s"),
    marked("Recipe %(name)s, %(number)s of %(count)s: %(note)s"),
    marked("round %(done)s of %(rounds)s"),
    marked("preparing %(network)s (%(number)s of %(count)s)"),
    marked("timing, round %(done)s"),
    marked("mean gates over %(done)s images"),
    marked("%(count)s different replacements"),
    marked("normalisations estimated anew on %(seen)s images"),
    marked("%(network)s: %(here)s of %(size)s MB%(speed)s"),
    marked("building %(network)s"),
    marked("writing %(file)s, and checking it against torch"),
    marked("packing %(file)s"),
    marked("done"),
    marked("Each photo is a class of its own, so there is no spread within classes and no class share."),
    marked("Photos have no classes here, so there is no class share."),
    marked("resnet33ts: four networks, one recipe"),
    marked("ResNet-50, as the ECA paper compares"),
    marked("ResNet-50 with and without SE, recipe %(recipe)s"),
    marked(
        "Trainable parameters, in decimal units. Work: multiply-accumulates of convolutions and matrix products; "
        "biases, normalisations, activations and pooling are free."
    ),
    marked(
        "Trainable parameters. Work: two operations, a multiplication and an addition, for each multiply-accumulate of "
        "convolutions and matrix products."
    ),
    marked("Parameters with the running mean and variance of batch normalisations. Work: multiply-accumulates."),
    marked(
        "Parameters / 2^20. Work / 2^30 (2^20 for small networks): multiply-accumulates of convolutions, C_in more an "
        "output if biased; 4 for each entry of a batch normalisation; 1 for each entry of the last call of each ReLU; "
        "2 in - 1 for each output of a linear layer, which SE's are; (HW + 1) C for each global average pooling; "
        "nothing else."
    ),
    marked(
        "One image. MACs: multiply-accumulates of convolutions and matrix products; a bias adds none. Elementwise: one "
        "for each entry written by activations, normalisations, products and sums. Pooling: one for each entry read. "
        "Bytes: float32, every operation reads its inputs and weights and writes its output, nothing fused; copies "
        "count. Activation bytes: outputs written to new memory; views and results written in place take none. "
        "Parameters: trainable numbers, frozen ones too; running statistics and other fixed numbers are buffers."
    ),
    marked("95 % interval over paired images (Bonett, Price 2012); read by the margin as in docs/verdicts.md."),
    marked("A unit's standard deviation over images, below %(share)s of the gate's root mean square: our bound."),
    marked('Bounds as in the stripe test here; "Role of excitation" in the SE paper tells of saturated last gates.'),
    marked("A hidden unit is dead if its ReLU is shut for every image."),
    marked("The network at its start, by its seed, on two images of noise."),
    marked("Width of the layer that the reduction makes narrow; the SE paper's narrowest has 16 units."),
    marked("`published` of %(module)s; standard where its paper says nothing of %(backbone)s."),
    marked("Gain: %(gain)s. Standard deviation: %(spread)s. Chance of 80 %%, at least %(seeds)s seeds."),
    marked("95 %% interval of a share of %(images)s images. Gain: %(gain)s."),
    marked("%(pairs)s pairs of the study that comes along, %(data)s"),
    marked("%(pairs)s pairs of runs of this recipe and data here"),
    marked("%(count)s photo"),
    marked("%(count)s photos"),
    marked("as it is by default"),
    marked("%(names)s and %(count)s more"),
    marked("asked for"),
    marked("stage %(number)s"),
    marked("top-1 accuracy on ImageNet-1k validation images, %"),
    marked("In training, at least %(images)s images a batch: it normalises pooled numbers over them."),
    marked(
        "A channel of one network corresponds to the same channel of another only as far as they began alike and "
        "stayed so: networks of one seed share their backbone's initial weights, others share nothing."
    ),
    marked(
        "Untrained weights, drawn from the seed, in float64. Row c, column j is the derivative of channel c's gate by "
        "channel j's mean. Of %(points)s vectors of pooled features, drawn from a standard normal distribution, each "
        "module is shown at the first where its rank is largest. Training changes the values; where zeros are, and how "
        "large the rank can be, is the module's structure."
    ),
    marked("Every run was trained before, so nothing is left to train."),
    marked("How many images there are is known only once they have been read."),
    marked("From the time that %(runs)s finished runs of these networks took on this data and device."),
    marked(
        "From %(runs)s finished runs on this data and device; networks that have none are reckoned by their "
        "multiply-accumulates, at %(rate)s a second."
    ),
    marked(
        "Rough, for nothing was trained on this data here yet: multiply-accumulates × images × epochs, three passes "
        "for an image in training, at %(rate)s a second on %(device)s. It can be off by a factor of five; after the "
        "first epoch the job says it better."
    ),
    marked(
        "How much differences between runs of one seed vary here is not known. Seeds in all that tell %(margin)s "
        "points from none with a chance of 80 %% (%(looks)s), by their standard deviation: %(needed)s."
    ),
    marked(
        "Differences between earlier runs here vary by %(spread)s points (sd of %(pairs)s pairs): %(seeds)s seeds tell "
        "%(margin)s points from none with a chance of %(chance)s %%; %(needed)s seeds in all with one of 80 %%."
    ),
    marked("%(count)s looks"),
    marked("1 look"),
    marked("%(points)s points: %(seeds)s, %(points_2)s points: %(seeds_2)s, %(points_3)s points: %(seeds_3)s"),
    marked("The 'FLOPs' of the SE (arXiv 1709.01507), CBAM (1807.06521) and CA (2103.02907) papers; timm's GMACs."),
    marked(
        "Tables of the ECA paper (arXiv 1910.03151), by the thop of 17 July to 2 August 2019 "
        "(https://github.com/Lyken17/pytorch-OpCounter), whose M is 1024^2 and whose G is 1024^3."
    ),
    marked("Tables of the SE paper (arXiv 1709.01507), whose Caffe models keep running statistics as parameters."),
    marked(
        "Kind 'neutral' lets the input through as if there were no gate. The network was trained with gates around "
        "their own mean, so this changes the scale of every gated branch: what it loses is a scale artefact, not "
        "attention's value."
    ),
    marked("%(images)s image"),
    marked("%(images)s images"),
    marked("%(network)s: %(verdict)s (%(share)s); %(others)s"),
    marked("%(network)s: %(verdict)s (%(share)s)"),
)
"""Sentences of the service, with names for what they hold; the first that fits is taken."""
