"""describe: looks up once all that is known of a network."""

from collections.abc import Mapping
from functools import lru_cache

from attention.backbones import Backbone
from attention.build import advised, build, outputs, renamed, resolve, skeleton, usual_size
from attention.counting.cost import count
from attention.data.preprocessing import fitted
from attention.errors import InvalidRequest
from attention.gate import sites
from attention.models.own_models import OwnModel, get, renewed
from attention.names import height_and_width
from attention.reports.compare import PhotoInput
from attention.reports.parts.checkpoints import LoadReport, WeightsState
from attention.reports.parts.network import Network, OutputKind
from attention.spec import Preprocess, Variant
from attention.weights import load as weights
from attention.weights.find import NOWHERE, Checkpoints, Source

GIVEN: Mapping[OutputKind, str] = {"map": "a map of classes", "boxes": "boxes", "other": "something else"}
"""What networks that give no classes give."""
FRESH = "The model is as it was given; the attention that was put into it has not been trained."


def describe(variant: Variant, checkpoints: Checkpoints = NOWHERE) -> Network:
    """Look up all that is known of a network; kept for as long as the files of its weights stay as they are.

    Args:
        checkpoints: where weights other than the shipped ones are looked for.

    Raises:
        UnknownName, BadOption, BadPlacement: the variant names something that is not there.
        BadCheckpoint, NotFound: its weights do not fit, or are not there.
    """
    network = resolve(variant)
    if network.weights in (None, "shipped"):  # no folder is looked into, so all labs share what is known
        checkpoints, stamp = NOWHERE, ""
    else:
        stamp = weights.stamp(network, checkpoints)
    if (own_model := _own_model(network)) is not None:
        stamp = f"{own_model.stamp}, {stamp}"
    return _describe(network, renamed(variant), checkpoints, stamp)


def as_asked(network: Network, photo_input: PhotoInput) -> Network:
    """The network with photos prepared as a question asks, counted at that size.

    Raises:
        InvalidRequest: it cannot take an image of that size.
    """
    if photo_input.input_size is None and photo_input.fit is None:
        return network
    bill = count(network.variant, photo_input.input_size)
    counts = {"macs": bill.total.macs, "attention_macs": bill.attention.macs}
    return network.model_copy(
        update={"preprocess": fitted(network.preprocess, photo_input.input_size, photo_input.fit), **counts}
    )


@renewed
@lru_cache(maxsize=1024)
def _describe(variant: Variant, former: tuple[str, ...], checkpoints: Checkpoints, stamp: str) -> Network:
    source = weights.source(variant, checkpoints)
    bill, model = count(variant), skeleton(variant)
    load = None if source is None else _load_report(model, variant, checkpoints, source)
    state: WeightsState = "untrained" if load is None else "fresh attention" if load.fresh else "trained"
    labels, preprocess = (source.labels, source.preprocess) if source else ((), None)
    warning = weights.warning(load, former)
    if (own_model := _own_model(variant)) is not None:
        labels, preprocess = labels or own_model.labels, preprocess or own_model.preprocess
        if source is None:
            state = "fresh attention" if variant.attention else "trained"
            warning = " ".join((*former, *([FRESH] if variant.attention else ()))) or None
    return Network(
        name=variant.name,
        variant=variant,
        trained=state == "trained",
        warning=warning,
        card=source.card if source else None,
        state=state,
        stamp=stamp,
        load=load,
        labels=labels if len(labels) == variant.classes else (),
        preprocess=preprocess or _usual_preprocess(variant),
        parameters=bill.total.parameters,
        macs=bill.total.macs,
        attention_parameters=bill.attention.parameters,
        attention_macs=bill.attention.macs,
        gates=len(sites(model)),
        outputs=outputs(variant),
    )


def _own_model(variant: Variant) -> OwnModel | None:
    """The user's model that a resolved variant is of."""
    return get(str(variant.backbone_options["name"])) if variant.backbone == "own" else None


def _load_report(model: Backbone, variant: Variant, checkpoints: Checkpoints, source: Source) -> LoadReport:
    """What `build` makes of a checkpoint, and what fresh modules in the network do.

    Args:
        model: the skeleton of the variant.
    """
    with advised(variant, checkpoints):
        report = weights.plan(model, variant, source).report
    if not report.fresh:
        return report
    model = build(variant, checkpoints)
    return weights.measure(model, report, model.input_size)


def _usual_preprocess(variant: Variant) -> Preprocess:
    """How a photo becomes the input of a network whose checkpoint does not say it."""
    height, width = height_and_width(usual_size(variant))
    shorter = min(height, width)
    resize = shorter if shorter <= 64 else round(shorter / 0.875)
    return Preprocess(size=height, width=None if width == height else width, resize=resize)


def need_classes(network: Network) -> None:
    """Raise InvalidRequest unless a network tells classes apart.

    Raises:
        InvalidRequest: it gives something else, of which other questions ask.
    """
    if network.outputs != "classes":
        raise InvalidRequest(
            f"{network.name} gives {GIVEN[network.outputs]} for each image and no classes of whole images, which this "
            "asks about. effects says what its outputs lose without its gates."
        )
