"""describe: looks up once all that is known of a network."""

from functools import lru_cache

from attention.build import load_report, preprocess_of, renamed, resolve
from attention.counting.cost import count
from attention.reports.checkpoints import WeightsState
from attention.reports.network import Network
from attention.spec import Variant
from attention.weights import load as weights
from attention.weights.find import NOWHERE, Checkpoints


def describe(variant: Variant, checkpoints: Checkpoints = NOWHERE) -> Network:
    """Look up all that is known of a network; kept for as long as the files of its weights stay as they are.

    Args:
        checkpoints: where weights other than the shipped ones are looked for.

    Raises:
        UnknownName, BadOption, BadPlacement: the variant names something that is not there.
        BadCheckpoint, NotFound: its weights do not fit, or are not there.
    """
    network = resolve(variant)
    return _describe(network, renamed(variant), checkpoints, stamp(network, checkpoints))


def stamp(variant: Variant, checkpoints: Checkpoints = NOWHERE) -> str:
    """A text that changes when the weights behind a resolved variant's name do, as those in a folder may.

    Raises:
        BadCheckpoint, NotFound: the variant asks for weights that are not there.
    """
    return "" if variant.weights in (None, "shipped") else weights.stamp(variant, checkpoints)


@lru_cache(maxsize=1024)
def _describe(variant: Variant, former: tuple[str, ...], checkpoints: Checkpoints, stamp: str) -> Network:
    bill, load = count(variant), load_report(variant, checkpoints)
    state: WeightsState = "untrained" if load is None else "fresh attention" if load.fresh else "trained"
    return Network(
        name=variant.name,
        variant=variant,
        trained=state == "trained",
        warning=weights.warning(load, former),
        card=weights.card(variant, checkpoints),
        state=state,
        load=load,
        labels=weights.labels(variant, checkpoints),
        preprocess=preprocess_of(variant, checkpoints),
        parameters=bill.total.parameters,
        macs=bill.total.macs,
        attention_parameters=bill.attention.parameters,
        attention_macs=bill.attention.macs,
    )
