"""Where are the gates of this network, of which kind is each, and what is unclear?"""

from collections.abc import Iterator, Mapping

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.gate import sites
from attention.reports.found_gates import FoundGate, FoundUnclear, GatesReport, GatesRequest
from attention.reports.gates import GateSite, WatchedGates
from attention.watch import watch


@analyses.register("gates")
def gates(request: GatesRequest, lab: AnyLab) -> GatesReport:
    """Where are the gates of this network, of which kind is each, and what is unclear?"""
    network = lab.describe(request.variant)
    model = lab.network(network.variant)
    places = {site.path: site for site in sites(model)}
    return report(watch(model, gates=request.gates), network.name, places)


def report(watched: WatchedGates, network: str, places: Mapping[str, GateSite]) -> GatesReport:
    """Write the gates that `watch` found in a network as a report.

    Args:
        network: what to call the model.
        places: where its gates are, by path, as far as that is known.
    """
    return GatesReport(
        headline=f"{len(watched):,} gate{'' if len(watched) == 1 else 's'} in {network} (one pass, {watched.example})",
        network=network,
        example=watched.example,
        gates=tuple(_gates(watched, places)),
        unclear=tuple(
            FoundUnclear(
                path=one.path,
                operation=one.operation,
                activation=one.activation,
                kind=one.kind,
                shape=" x ".join(map(str, one.shape)),
            )
            for one in watched.unclear
        ),
        not_visible=watched.not_visible,
        caveats=tuple(_caveats(watched)),
    )


def _gates(watched: WatchedGates, places: Mapping[str, GateSite]) -> Iterator[FoundGate]:
    for gate in watched:
        place = gate.site or places.get(gate.path)
        yield FoundGate(
            path=gate.path,
            stage=place.stage if place else None,
            block=place.block if place else None,
            module=gate.module,
            mechanism=gate.mechanism,
            kind=gate.kind,
            entries=gate.entries,
            activation=gate.activation,
            neutral=gate.neutral,
            static=gate.static,
        )


def _caveats(watched: WatchedGates) -> Iterator[str]:
    if watched.sentence:
        yield watched.sentence
    if watched.unclear:
        yield (
            f"Products of bounded tensors that cannot be read as gates: {len(watched.unclear)}. They are left alone. "
            "Where one is a gate, point at the submodule that gives its weights: "
            f'gates={{"{watched.unclear[0].path}": "channel"}}, with the path of the activation.'
        )
    if watched.not_visible:
        yield f"Not visible, being TorchScript: {', '.join(watched.not_visible[:5])}."
