"""Choosing networks by module: chips of those that are trained, of those that are not, and of one's own studies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import streamlit as st
from pydantic import ValidationError

from attention.reports.study import StudyReport, StudyRequest
from attention.schemas import Catalog, Job
from attention.spec import SHIPPED_BACKBONE, Variant
from dashboard import connect
from dashboard.drawing import theme
from dashboard.language import say
from dashboard.widgets import forms, linked

KEY, SOURCE, STUDY, OTHER = "net", "trained", "study", "variant"
"""In the address: modules, what the networks were trained for, whose study, and networks by their full names."""
SMALL, YOURS = "small", "yours"
FIRST = (theme.PLAIN, "se", "eca")


@dataclass(frozen=True)
class Offer:
    """Networks that can be chosen by their module."""

    variants: Mapping[str, Variant]
    """Module -> network."""
    trained: frozenset[str] = frozenset()
    """Modules whose network has trained weights."""
    arms: Mapping[str, str] = field(default_factory=dict)
    """Key -> label, where a study's arms differ in more than their module."""


def choose(catalog: Catalog, default: Sequence[str] = FIRST) -> tuple[Variant, ...]:
    """The networks to look at, by one click each; any others by name. All stand in the address."""
    left, right = st.columns([2, 5], gap="medium")
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
        others = forms.variants(catalog, (), OTHER, say("By name"))
    picked = [offer.variants[module] for module in offer.variants if module in chosen]
    return tuple(dict.fromkeys([*picked, *others]))


def _source(catalog: Catalog) -> Offer:
    """What the networks were trained for: the shipped ten classes, or a finished study of this service."""
    studies = finished()
    sources = {SMALL: say("10 small classes")} | ({YOURS: say("yours")} if studies else {})
    source = linked.choice(st.segmented_control, say("Trained for"), sources, SOURCE, SMALL, wrap=False)
    if source == SMALL:
        return shipped(catalog)
    names = {job.id: f"{job.request.get('data', '')} · {job.created:%d %b %H:%M}" for job in studies}
    job = linked.choice(st.selectbox, say("Study"), names, STUDY, next(iter(names)))
    return of_study(connect.report(job, StudyReport))


def shipped(catalog: Catalog) -> Offer:
    """The shipped networks of the shipped backbone, and the well-known modules without weights on it."""
    trained: dict[str, Variant] = {}
    for entry in catalog.shipped:
        variant = Variant.parse(entry.name)
        if variant.backbone == SHIPPED_BACKBONE and not variant.backbone_options:
            trained.setdefault(variant.attention or theme.PLAIN, variant)
    shelf = {theme.PLAIN, *(entry.name for entry in catalog.modules)}
    known = [module for module in theme.MODULES if module in shelf]
    every = sorted({*known, *trained}, key=lambda module: (module not in trained, _place(module)))
    variants = {module: trained.get(module) or untrained(module) for module in every}
    return Offer(variants, frozenset(trained))


def untrained(module: str) -> Variant:
    """A network of the shipped backbone with a module, with random weights."""
    return Variant(backbone=SHIPPED_BACKBONE, attention=None if module == theme.PLAIN else module)


def _place(module: str) -> int:
    order = list(theme.MODULES)
    return order.index(module) if module in order else len(order)


def of_study(report: StudyReport) -> Offer:
    """The first finished run of each arm of a study."""
    variants: dict[str, Variant] = {}
    labels: dict[str, str] = {}
    for arm in report.arms:
        run = next((run for run in report.runs if run.arm == arm.name and run.weights), None)
        if run is None or run.weights is None:
            continue
        module = arm.variant.attention or theme.PLAIN
        key = module if module not in variants else arm.name
        variants[key] = arm.variant.model_copy(update={"weights": run.weights, "seed": 0})
        labels[key] = theme.called(arm.name) if key == module else arm.name
    return Offer(variants, frozenset(variants), labels)


def finished() -> list[Job]:
    """Studies of this service that have trained networks, newest first."""
    return [job for job in connect.client().jobs() if job.analysis == StudyRequest.analysis and job.report == "final"]


def labels(names: Sequence[str]) -> dict[str, str]:
    """Short name -> what people call it: the module, with what else tells it from the other networks."""
    try:
        variants = {name: Variant.parse(name) for name in names}
    except (ValidationError, ValueError):
        return {name: name for name in names}
    backbones = {variant.backbone for variant in variants.values()}
    said: dict[str, str] = {}
    for name, variant in variants.items():
        text = theme.called(name)
        if len(backbones) > 1 or variant.backbone_options:
            text += f" · {name.partition('/')[0]}"
        inside = name.partition("?")[0].partition("/")[2].removeprefix(variant.attention or theme.PLAIN)
        said[name] = f"{text} {inside}".strip()
    doubled = {text for text in said.values() if list(said.values()).count(text) > 1}
    return {
        name: f"{text} · {name.partition('?')[2] or say('untrained')}" if text in doubled else text
        for name, text in said.items()
    }
