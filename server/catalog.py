"""The catalogue: all that can be asked for, read off the shelves."""

import ast
import inspect
import logging
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from types import ModuleType
from typing import Any

import torch

from attention.analyses import analyses, request_type
from attention.analyses.fetch import WEIGHTS
from attention.backbones import backbones
from attention.build import published_placement, resolve, skeleton, usual_size
from attention.errors import AttentionError
from attention.gate import AttentionModule, PooledAttention, gates, slots
from attention.measuring.traits import traits
from attention.models import own_models
from attention.modules import modules
from attention.network import describe
from attention.registry.options import schema
from attention.reports.parts.catalog import (
    AnalysisEntry,
    BackboneEntry,
    Catalog,
    ModuleEntry,
    OwnModelEntry,
    PublishedChoice,
    PublishedNetwork,
    Shipped,
)
from attention.reports.writing.citations import citation
from attention.spec import ABLATIONS, POSITIONS, GateKind, Placement, Position, Variant
from attention.weights import load as weights
from attention.weights.find import Checkpoints
from attention.weights.hub import Hub
from attention.weights.hub_networks import GROUPS, NETWORKS, RECIPES, HubNetwork

logger = logging.getLogger(__name__)

CHANNELS = 64
"""Width at which a module is put together to see what gates it has."""


def version() -> str:
    """The version of the service."""
    try:
        return installed_version("attention-lab")
    except PackageNotFoundError:
        return "0+unknown"


def catalog() -> Catalog:
    """All that can be asked for now. Networks are put together without numbers to see what they have."""
    networks = tuple(_backbones())
    return Catalog(
        version=version(),
        modules=tuple(_module(name, networks) for name in modules),
        backbones=networks,
        own_models=tuple(map(_own_model, own_models.names())),
        placements=POSITIONS,
        ablations=ABLATIONS,
        shipped=tuple(
            Shipped(name=variant.model_copy(update={"weights": "shipped"}).name, card=card)
            for variant, card in weights.shipped().items()
        ),
        published=tuple(_hub_network(network) for network in NETWORKS.values()),
        analyses=tuple(_analysis(name) for name in analyses),
    )


def _hub_network(network: HubNetwork) -> PublishedNetwork:
    return PublishedNetwork(
        name=network.weighted.name,
        repository=network.repository,
        attention=network.weighted.attention,
        licence=network.licence,
        megabytes=round(network.megabytes, 1),
        recipe=RECIPES[network.recipe],
        top1=network.top1,
        test_size=network.test_size,
        groups=tuple(name for name, group in GROUPS.items() if network.name in group.names),
    )


def published(checkpoints: Checkpoints) -> Iterator[PublishedChoice]:
    """Published networks to choose from, and which of them are here: groups first, then single ones."""
    hub = checkpoints.fetch
    obstacle = hub.obstacle() if isinstance(hub, Hub) else "Nothing is fetched from the hub here."
    choices = {name: group.networks for name, group in GROUPS.items()} | {
        name: (network,) for name, network in NETWORKS.items()
    }
    for name, networks in choices.items():
        missing = _missing(networks)
        fetched = isinstance(hub, Hub) and all(hub.cached(network.repository, WEIGHTS) for network in networks)
        yield PublishedChoice(
            name=name,
            networks=tuple(network.weighted.name for network in networks),
            megabytes=round(sum(network.megabytes for network in networks), 1),
            here=fetched and missing is None,
            obstacle=missing or obstacle,
        )


def _missing(networks: Sequence[HubNetwork]) -> str | None:
    """Which package networks need that is not installed, as a sentence."""
    try:
        for network in networks:
            resolve(network.weighted)
    except AttentionError as error:
        return str(error)
    return None


def _module(name: str, networks: Sequence[BackboneEntry]) -> ModuleEntry:
    cls = modules[name]
    with torch.device("meta"):
        kinds: list[GateKind] = [gate.kind for gate in gates(cls(CHANNELS)).values()]
    return ModuleEntry(
        name=name,
        names=modules.names_of(name),
        options=schema(cls),
        gates=tuple(kinds),
        published=_published(name, networks),
        traits=traits(name),
        formula=_formula(inspect.getmodule(cls)),
        code=_code(cls),
        bibtex=paper.bibtex() if (paper := citation(name)) else "",
        **_documentation(cls),
    )


def _formula(file: ModuleType | None) -> str:
    """The first indented block of a file's documentation."""
    blocks = inspect.cleandoc(getattr(file, "__doc__", None) or "").split("\n\n")
    formula = next((block for block in blocks if all(line.startswith("    ") for line in block.splitlines())), "")
    return textwrap.dedent(formula)


def _code(cls: type[AttentionModule]) -> str:
    """What a module computes: how it excites pooled channels, or else its forward pass, without documentation."""
    body = cls.excite if issubclass(cls, PooledAttention) and "excite" in vars(cls) else cls.forward
    source = ast.parse(textwrap.dedent(inspect.getsource(body))).body[0]
    lines = textwrap.dedent(inspect.getsource(body)).rstrip().splitlines()
    if isinstance(source, ast.FunctionDef) and ast.get_docstring(source) is not None:
        end = source.body[0].end_lineno or 0
        lines = [*lines[: source.body[0].lineno - 1], *lines[end:]]
    return "\n".join(lines)


def _published(name: str, networks: Sequence[BackboneEntry]) -> dict[str, Placement]:
    """Where a module's paper puts it, in each backbone that has the place."""
    places = {}
    for network in networks:
        place = published_placement(Variant(backbone=network.name, attention=name))
        stages = next((stages for position, stages in network.positions.items() if position == place.position), ())
        if stages and set(place.stages or ()) <= set(stages):
            places[network.name] = place
    return places


def _backbones() -> Iterator[BackboneEntry]:
    for name in backbones:
        try:
            yield _backbone(name)
        except AttentionError as error:  # a library it needs is installed and does not work
            logger.warning("The backbone %r is left out of the catalogue: %s", name, error)


def _backbone(name: str) -> BackboneEntry:
    variant = resolve(Variant(backbone=name))
    network = skeleton(variant)
    positions: dict[Position, tuple[int, ...]] = {}
    for slot in slots(network).values():
        positions[slot.position] = tuple(sorted({*positions.get(slot.position, ()), slot.stage}))
    assert variant.classes is not None
    return BackboneEntry(
        name=name,
        names=backbones.names_of(name),
        options=schema(backbones[name]),
        positions=positions,
        input_size=network.input_size,
        classes=variant.classes,
        **_documentation(backbones[name]),
    )


def _own_model(name: str) -> OwnModelEntry:
    model = own_models.get(name)
    variant = Variant(backbone="own", backbone_options={"name": name})
    called = variant.name.partition("/")[0]
    try:
        network = describe(variant)
    except AttentionError as error:
        return OwnModelEntry(name=called, title=model.title, problem=str(error))
    return OwnModelEntry(
        name=called,
        title=model.title,
        outputs=network.outputs,
        classes=network.variant.classes or 0,
        input_size=usual_size(network.variant),
        parameters=network.parameters,
        gates=network.gates,
    )


def _analysis(name: str) -> AnalysisEntry:
    request = request_type(analyses[name])
    return AnalysisEntry(
        name=name, title=title(request), slow=request.slow, request=request.model_json_schema(mode="validation")
    )


def title(thing: Callable[..., Any]) -> str:
    """The first line of a thing's own documentation."""
    return (thing.__doc__ or "").strip().partition("\n")[0]


def _documentation(thing: Callable[..., Any]) -> dict[str, Any]:
    """Title, text and links of a thing on a shelf; the text is that of its file, which tells of the paper."""
    own_text = inspect.cleandoc(thing.__doc__ or "")
    of_file = inspect.cleandoc(getattr(inspect.getmodule(thing), "__doc__", None) or "")
    doc = of_file if own_text in of_file else f"{own_text}\n\n{of_file}".strip()
    papers = tuple(dict.fromkeys(link.rstrip(".,;:") for link in re.findall(r"https?://[^\s)>\]]+", doc)))
    return {"title": title(thing), "doc": doc, "papers": papers}
