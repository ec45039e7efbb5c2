"""Choosing networks by module: chips of those that are trained, of those that are not, and of one's own studies."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import streamlit as st

from attention.names import BARE
from attention.reports.parts.catalog import Catalog
from attention.reports.study import StudyReport, StudyRequest
from attention.schemas import Job
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import theme
from dashboard.language import say
from dashboard.widgets import forms, jobs, linked, links, weights

KEY, SOURCE, STUDY, OTHER = "net", "trained", "study", "variant"
"""In the address: modules, what the networks were trained for, whose study, and networks by their full names."""
YOURS, IMAGENET = "yours", "imagenet"
FIRST = (theme.PLAIN, "se", "eca")


@dataclass(frozen=True)
class Offer:
    """Networks that can be chosen by their module."""

    variants: Mapping[str, Variant]
    """Module -> network."""
    trained: frozenset[str] = frozenset()
    """Modules whose network has trained weights."""
    arms: Mapping[str, str] = field(default_factory=dict)
    """Key -> label of the trained ones, which may differ in more than their module."""
    title: str = ""
    """Name of the data that the networks were trained on."""


def choose(catalog: Catalog, default: Sequence[str] = FIRST) -> tuple[Variant, ...]:
    """The networks to look at, by one click each; any others by name. All stand in the address."""
    left, right = st.columns([3, 5], gap="medium")
    with left:
        offer = _source(catalog)
    labels = {
        module: offer.arms.get(module, theme.called(module))
        + ("" if module in offer.trained else " · " + say("untrained"))
        for module in offer.variants
    }
    named = bool(linked.words(OTHER)) and KEY not in st.session_state and not linked.words(KEY)
    start = () if named else tuple(module for module in default if module in labels) or tuple(labels)[:4]
    with right:
        chosen = linked.choices(
            st.pills, say("Networks"), labels, KEY, start, state=f"{KEY}.{hash(tuple(labels))}", wrap=False
        )
    with st.expander(say("Any other network"), icon=":material/add_circle:", expanded=named):
        if (sent := weights.upload()) is not None:
            st.session_state[OTHER] = [*st.session_state.get(OTHER, ()), sent.name]
        others = forms.variants(catalog, (), OTHER, say("By name"))
        links.to("your_model", say("Your model: its gates, and how to bring one"), ":material/deployed_code:")
    picked = [offer.variants[module] for module in offer.variants if module in chosen]
    return tuple(dict.fromkeys([*picked, *others]))


def _source(catalog: Catalog) -> Offer:
    """What the networks were trained for: the classes of those that come along, or a finished study of this service."""
    studies, offers = finished(), shipped(catalog)
    sources = {key: say(offer.title) for key, offer in offers.items()}
    sources |= ({IMAGENET: "ImageNet"} if catalog.published else {}) | ({YOURS: say("yours")} if studies else {})
    source = linked.choice(st.segmented_control, say("Trained for"), sources, SOURCE, next(iter(sources)), wrap=False)
    if source in offers:
        return offers[source]
    if source == IMAGENET:
        choice = weights.published()
        return _offer([(Variant.parse(name), choice.name) for name in choice.networks] if choice else [])
    names = {job.id: f"{job.request.get('data', '')} · {jobs.made(job, '%m-%d %H:%M')}" for job in studies}
    job = linked.choice(st.selectbox, say("Study"), names, STUDY, next(iter(names)))
    return of_study(connect.report(job, StudyReport))


def shipped(catalog: Catalog) -> dict[str, Offer]:
    """Networks that come along, by the data they were trained on; those that a module's name alone means come first.

    Beside them stand the well-known modules on the same backbone, with as many classes and without weights.
    """
    by_data: dict[str, list[Variant]] = {}
    classes = {entry.card.data: len(entry.card.labels) for entry in catalog.shipped}
    for entry in catalog.shipped:
        by_data.setdefault(entry.card.data, []).append(Variant.parse(entry.name))
    shelf = {theme.PLAIN, *(entry.name for entry in catalog.modules)}
    module_names = [module for module in theme.MODULES if module in shelf]
    offers = {}
    for data in sorted(by_data, key=lambda data: by_data[data][0].backbone != BARE["backbone"]):
        networks = sorted(
            by_data[data], key=lambda network: (_place(network.attention or theme.PLAIN), len(network.options))
        )
        offer = _offer([(network, network.name.partition("?")[0].partition("/")[2]) for network in networks])
        host = networks[0].plain.model_copy(update={"classes": classes[data]})
        fresh = {
            module: host.model_copy(update={"attention": module})
            for module in module_names
            if module not in offer.variants
        }
        key = re.sub(r"\W+", "-", data.casefold()).strip("-")
        offers[key] = replace(offer, variants={**offer.variants, **fresh}, title=data)
    return offers


def _offer(networks: Sequence[tuple[Variant, str]]) -> Offer:
    """Trained networks by their module; a further one of the same module by what it is called."""
    variants: dict[str, Variant] = {}
    labels: dict[str, str] = {}
    for variant, called in networks:
        module = variant.attention or theme.PLAIN
        key = module if module not in variants else called
        variants[key] = variant
        labels[key] = theme.called(module) if key == module else _further(called, module)
    return Offer(variants, frozenset(variants), labels)


def _place(module: str) -> int:
    order = list(theme.MODULES)
    return order.index(module) if module in order else len(order)


def _further(called: str, module: str) -> str:
    """What a further network of a module is called: ``SE (reduction=4)``, or an arm's whole name."""
    return f"{theme.called(module)} {called.removeprefix(module)}" if called.startswith(module) else called


def of_study(report: StudyReport) -> Offer:
    """The first finished run of each arm of a study."""
    first: dict[str, str] = {}
    for run in report.runs:
        if run.weights is not None:
            first.setdefault(run.arm, run.weights)
    return _offer(
        [
            (arm.variant.model_copy(update={"weights": first[arm.name], "seed": 0}), arm.name)
            for arm in report.arms
            if arm.name in first
        ]
    )


def finished() -> list[Job]:
    """Studies of this service that have trained networks, newest first."""
    return [job for job in connect.client().jobs() if job.analysis == StudyRequest.analysis and job.report == "final"]
