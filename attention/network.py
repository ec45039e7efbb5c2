"""describe: looks up once all that is known of a network."""

from functools import lru_cache

from attention.build import advised, build, input_size, renamed, resolve, skeleton
from attention.counting.cost import count
from attention.data.preprocessing import fitted
from attention.reports.checkpoints import LoadReport, WeightsState
from attention.reports.compare import PhotoInput
from attention.reports.network import Network
from attention.spec import Preprocess, Variant
from attention.weights import load as weights
from attention.weights.find import NOWHERE, Checkpoints, Source


def describe(variant: Variant, checkpoints: Checkpoints = NOWHERE) -> Network:
    """Look up all that is known of a network; kept for as long as the files of its weights stay as they are.

    Args:
        checkpoints: where weights other than the shipped ones are looked for.

    Raises:
        UnknownName, BadOption, BadPlacement: the variant names something that is not there.
        BadCheckpoint, NotFound: its weights do not fit, or are not there.
    """
    network = resolve(variant)
    stamp = "" if network.weights in (None, "shipped") else weights.stamp(network, checkpoints)
    return _describe(network, renamed(variant), checkpoints, stamp)


def as_asked(network: Network, asked: PhotoInput) -> Network:
    """The network with photos prepared as a question asks, counted at that size.

    Raises:
        InvalidRequest: it cannot take an image of that size.
    """
    if asked.input_size is None and asked.fit is None:
        return network
    bill = count(network.variant, asked.input_size)
    counts = {"macs": bill.total.macs, "attention_macs": bill.attention.macs}
    return network.model_copy(update={"preprocess": fitted(network.preprocess, asked.input_size, asked.fit), **counts})


@lru_cache(maxsize=1024)
def _describe(variant: Variant, former: tuple[str, ...], checkpoints: Checkpoints, stamp: str) -> Network:
    source = weights.source(variant, checkpoints)
    bill, load = count(variant), None if source is None else _load_report(variant, checkpoints, source)
    state: WeightsState = "untrained" if load is None else "fresh attention" if load.fresh else "trained"
    labels = source.labels if source else ()
    return Network(
        name=variant.name,
        variant=variant,
        trained=state == "trained",
        warning=weights.warning(load, former),
        card=source.card if source else None,
        state=state,
        stamp=stamp,
        load=load,
        labels=labels if len(labels) == variant.classes else (),
        preprocess=source.preprocess if source and source.preprocess else _usual_preprocess(variant.backbone),
        parameters=bill.total.parameters,
        macs=bill.total.macs,
        attention_parameters=bill.attention.parameters,
        attention_macs=bill.attention.macs,
    )


def _load_report(variant: Variant, checkpoints: Checkpoints, source: Source) -> LoadReport:
    """What `build` makes of a checkpoint, and what fresh modules in the network do."""
    with advised(variant, checkpoints):
        report = weights.plan(skeleton(variant), variant, source).report
    if not report.fresh:
        return report
    return weights.measure(build(variant, checkpoints), report, input_size(variant.backbone))


def _usual_preprocess(backbone: str) -> Preprocess:
    """How a photo becomes the input of a backbone whose checkpoint does not say it."""
    size = input_size(backbone)
    return Preprocess(size=size, resize=size if size <= 64 else round(size / 0.875))
