"""The form of a study: networks, sweeps, recipe, seeds, with an estimate of the time before anything starts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st
from pydantic import ValidationError

from attention.client import ServiceError
from attention.names import read_value, split_names
from attention.reports.parts.catalog import Catalog, ModuleEntry
from attention.reports.parts.grid import Grid
from attention.reports.parts.recipes import RECIPE_NOTES, RECIPES
from attention.reports.plan import PlanRequest
from attention.reports.study import StudyRequest
from attention.schemas import DataSet
from attention.spec import Placement, Recipe, Variant
from dashboard import connect
from dashboard.drawing import theme, words
from dashboard.language import listed, marked, say, show_caption
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import forms, jobs, linked

ARM = "arm"
FIELD = "recipe"
"""In the address: a field of the recipe that is not the preset's, such as ``epochs=1``."""
"""In the address: networks that a link wants trained."""
FIRST = ("se", "eca")
"""Modules that the form opens with."""
SMALL = "resnet20"
"""The backbone that the form opens with: a small network for small images."""
BACKBONE, MODULES = "study.backbone", "study.modules"
"""In the address: the backbone, and the modules of the chips."""
PLACES = "placement"
LOOKS: dict[str, Literal[1, 3]] = {marked("yes"): 3, marked("no"): 1}
"""Whether seeds may be added after a verdict -> looks of the plan."""
TRAINED_SHARE = 0.4
"""Of a data set's images at least that are trained on, whatever its split."""
FIELDS = 5
"""Fields of a recipe in a row."""


def about() -> None:
    """What a study is, for whoever has none yet."""
    st.info(
        say(
            "**Is the gain real, and is it worth its cost?** A study trains a plain network and its twins with "
            "attention on the same data with the same seeds. A seed fixes first weights, order of the images and "
            "every crop and flip, so each pair differs in its attention alone. The answer is a verdict in words: "
            "better, worse, no difference that matters, or not decided, with how many seeds would decide it."
        ),
        icon=":material/science:",
    )


@dataclass(frozen=True)
class Networks:
    """The networks of a study, one by one and as sweeps."""

    variants: tuple[Variant, ...]
    grids: tuple[Grid, ...]


def networks(catalog: Catalog, data: DataSet) -> Networks | None:
    """The networks that the form names, the plain one first; None with a sentence if no study compares them."""
    hosts = [entry.name for entry in catalog.backbones]
    module_names = sorted((entry.name for entry in catalog.modules), key=lambda name: name not in theme.MODULES)
    labels = {name: theme.called(name) for name in module_names}
    _select_linked(hosts, list(labels))
    left, right = st.columns(2)
    start = SMALL if SMALL in hosts else hosts[0]
    picked = linked.choice(left.selectbox, say("Backbone"), words.backbones(hosts), BACKBONE, start)
    backbone = next(entry for entry in catalog.backbones if entry.name == picked)
    position = forms.position(right, catalog, backbone, f"study.place.{backbone.name}")
    chosen = linked.choices(
        st.pills,
        say("Modules"),
        labels,
        MODULES,
        [name for name in FIRST if name in labels],
        help=say("Each becomes an arm beside the plain network, which is the baseline."),
    )
    with st.expander(say("More networks, other options, controls"), icon=":material/tune:"):
        show_caption(
            "A fair table also holds a plain network as large as those with attention, such as "
            "`%(name)s(width=…)/none`, and a gate that learns but does not look, `static`.",
            name=backbone.name,
        )
        more = forms.variants(catalog, (), ARM, say("More arms"), say("They are trained from scratch."))
    grids = _sweep(catalog, backbone.name, position)
    place = Placement.model_validate({"position": position})
    arms = [Variant(backbone=backbone.name)]
    arms += [Variant(backbone=backbone.name, attention=name, placement=place) for name in chosen]
    arms += [variant.model_copy(update={"weights": None, "classes": None}) for variant in more]
    if grids is None:
        return None  # the sweep has said why
    recipe = RECIPES["quick"].model_copy(update={"batch_size": 2})  # whether it fits the data is the next step's matter
    try:
        study = StudyRequest(data=data.name, variants=tuple(arms), grids=grids, recipe=recipe)
        connect.ask(PlanRequest(study=study))
    except ValidationError as error:
        st.info(_plain(error))
        return None
    except ServiceError as error:  # an option or a place that some network does not have
        st.error(explained(error), icon=":material/error:")
        return None
    return Networks(tuple(dict.fromkeys(arms)), grids)


def _select_linked(backbones: Sequence[str], modules: Sequence[str]) -> None:
    """Select the chips of the networks that a link wants trained; those that are no chip are named below them."""
    names = linked.given(ARM)
    if not names:
        return
    variants = {name: forms.read_variants(name)[0] for name in names}
    host = next((read[0].backbone for read in variants.values() if read and read[0].backbone in backbones), None)
    chips = {
        name: read[0].attention
        for name, read in variants.items()
        if read
        and read[0] == Variant(backbone=host or "", attention=read[0].attention)
        and read[0].attention in modules
    }
    if chips:
        st.session_state[BACKBONE], st.session_state[MODULES] = host, list(dict.fromkeys(chips.values()))
        st.query_params[ARM] = [name for name in names if name not in chips]


def question(data: DataSet, arms: Networks) -> StudyRequest | None:
    """The study of some networks that the form asks for; None with a sentence if it is none."""
    first, second, third, fourth, fifth = st.columns(5)
    seeds = linked.number(
        first.number_input,
        say("Seeds"),
        1,
        400,
        "seeds",
        8,
        help=say("Runs of each arm. The first verdict is given at so many, six at least."),
    )
    size = linked.number(
        second.number_input, say("Image size, pixels"), 4, 512, "study.size", 32, help=say("Height and width.")
    )
    margin = linked.number(
        third.number_input,
        say("Margin, points"),
        0.01,
        100.0,
        "margin",
        0.5,
        step=0.1,
        help=say("Differences up to this many points are called none."),
    )
    begin = linked.number(
        fourth.number_input, say("First seed"), 0, 10_000, "first_seed", 0, help=say("The others follow it.")
    )
    growing = linked.choice(
        fifth.segmented_control,
        say("Seeds may be added after a verdict"),
        {answer: say(answer) for answer in LOOKS},
        "looks",
        "yes",
        help=say(
            "Yes: verdicts at your first number of seeds, at twice and at four times as many. No: one verdict, with "
            "a narrower interval. Say it before the first run: it cannot change afterwards."
        ),
    )
    recipe = _recipe(data.images)
    choose = linked.switch(
        st.toggle,
        say("Choose by validation accuracy, without verdicts"),
        "choose",
        help=say(
            "For sweeps of an option or a place: the best is chosen on the validation images, and then tested in a "
            "study of its own with other seeds."
        ),
    )
    recipes = _recipes(data.images) if choose else ()
    try:
        return StudyRequest(
            data=data.name,
            size=size,
            variants=arms.variants,
            grids=arms.grids,
            seeds=seeds,
            first_seed=begin,
            recipe=recipe,
            recipes=recipes,
            margin=margin,
            looks=LOOKS[growing],
            choose=choose,
        )
    except ValidationError as error:
        st.info(_plain(error))
        return None


def _recipes(images: int | None) -> tuple[Recipe, ...]:
    """Named recipes to choose among beside the networks; none leaves the one recipe above."""
    names = linked.choices(
        st.multiselect,
        say("Recipes to choose among as well"),
        {name: say(name) for name in RECIPES},
        "recipes",
        (),
        placeholder=say("the recipe above alone"),
        help=say("Two or more: every network is trained with each of them, instead of the recipe above."),
    )
    return tuple(_filled(RECIPES[name], images) for name in names)


def _filled(recipe: Recipe, images: int | None) -> Recipe:
    """The recipe with a batch that a data set of so many images fills; None if it is not known how many."""
    if images is None:
        return recipe
    most: int = 2 ** max(1, int(TRAINED_SHARE * images).bit_length() - 1)
    return recipe.model_copy(update={"batch_size": min(recipe.batch_size, most)})


def _plain(error: ValidationError) -> str:
    return forms.sentence(error).removeprefix("Value error, ")


def _sweep(catalog: Catalog, backbone: str, position: str) -> tuple[Grid, ...] | None:
    """More arms that differ in one option of one module, or in its place; None with a sentence if they are none."""
    with st.expander(say("Sweep one option"), icon=":material/linear_scale:"):
        if not st.toggle(say("Add a sweep"), key="sweep", persist_state="session"):
            show_caption("One arm for each value: r for SE, k for ECA, or the place of any module.")
            return ()
        left, middle, right = st.columns([2, 2, 4])
        modules = {entry.name: entry for entry in catalog.modules}
        start = list(modules).index("se") if "se" in modules else 0
        picked = left.selectbox(
            say("Module"), list(modules), start, theme.called, "sweep.module", persist_state="session"
        )
        module = modules[picked]
        fields = [*module.options.get("properties", {}), PLACES]
        field = middle.selectbox(
            say("What varies"), fields, format_func=_field, key=f"sweep.{module.name}", persist_state="session"
        )
        text = right.text_input(
            say("Values, separated by commas"),
            _usual(module, field),
            key=f"sweep.{module.name}.{field}",
            placeholder="4, 8, 16",
            persist_state="session",
        )
        values = tuple(dict.fromkeys(read_value(part) for part in split_names(text)))
        if not values:
            st.info(say("Name at least one value."))
            return None
        try:
            base = Variant(backbone=backbone, attention=module.name, placement=Placement.model_validate(position))
            grid = Grid(base=base, vary={field if field == PLACES else f"options.{field}": values})
            grid.variants()  # a value that does not fit is found here
        except ValidationError as error:
            st.error(_plain(error))
            return None
        return (grid,)


def _field(name: str) -> str:
    """An option of a list, in the reader's language with its own name."""
    return forms.option_label(name).replace("`", "")


def _usual(module: ModuleEntry, field: str) -> str:
    """Values that make a sweep: around a whole number that is the default, every choice of a list."""
    if field == PLACES:
        return say("standard, pre, post, identity")
    schema: Mapping[str, Any] = module.options["properties"][field]
    default = schema.get("default")
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if isinstance(default, int) and not isinstance(default, bool) and default > 1:
        return ", ".join(str(value) for value in (default // 4, default // 2, default, default * 2) if value)
    return "3, 5, 7" if field == "kernel_size" else "" if default is None else str(default)


def _recipe(images: int | None) -> Recipe:
    """A preset, and every field of it to change; batches that a data set of so many images fills."""
    labels = {name: say(name) for name in RECIPES}
    preset = linked.choice(st.segmented_control, say("Recipe"), labels, "preset", next(iter(RECIPES)))
    st.caption(say(RECIPE_NOTES[preset]))
    usual = _filled(RECIPES[preset], images).model_dump()
    start = usual | _linked_fields(preset, usual)
    schema = Recipe.model_json_schema()
    changed: dict[str, Any] = {}
    with st.expander(say("Every field of the recipe"), icon=":material/menu_book:"):
        columns = [column for _ in range(0, len(schema["properties"]), FIELDS) for column in st.columns(FIELDS)]
        for column, (name, field) in zip(columns, schema["properties"].items(), strict=False):
            form_schema = {"properties": {name: {**field, "default": start[name]}}}
            with column:
                changed |= forms.options(form_schema, f"recipe.{preset}")
    recipe = Recipe.model_validate(start | changed)
    fields = recipe.model_dump().items()
    linked.write(FIELD, [f"{name}={value}" for name, value in fields if value != usual[name]])
    return recipe


def _linked_fields(preset: str, usual: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a preset that the address changes; none where their values are not possible."""
    key = f"{FIELD}.{preset}"
    if (texts := linked.given(FIELD)) is not None:
        parts = [text.partition("=") for text in texts]
        values = {name: value for name, _, value in parts if name in usual}
        with suppress(ValidationError):
            whole = Recipe.model_validate({**usual, **values}).model_dump()
            st.session_state[key] = {name: whole[name] for name in values}
    fields: dict[str, Any] = st.session_state.setdefault(key, {})
    return fields


def estimate(request: StudyRequest) -> bool:
    """What the study amounts to and about how long it takes; whether it can be asked for."""
    try:
        plan = connect.client().ask(PlanRequest(study=request))
    except ServiceError as error:
        st.error(explained(error), icon=":material/error:")
        return False
    labels = words.labels(plan.arms)
    left, second, third, right = st.columns(4)
    left.metric(say("Networks"), len(plan.arms))
    second.metric(
        say("Runs"),
        plan.runs,
        say("%(runs_done)s trained before", runs_done=plan.runs_done) if plan.runs_done else None,
        delta_color="off",
    )
    third.metric(say("Epochs to train"), f"{plan.epochs:,}")
    right.metric(say("Time, about"), say("unknown") if plan.seconds is None else jobs.duration(plan.seconds))
    show_caption(
        "%(basis)s  \nArms: %(words)s; the first is the baseline.",
        basis=translated(plan.basis),
        words=listed(labels.values()),
    )
    for note in plan.notes:
        st.warning(words.relabelled(translated(note), labels), icon=":material/info:")
    return True


def start(request: StudyRequest) -> None:
    """Ask for a study, and let the page's address name its job."""
    try:
        job = connect.client().submit(request)
    except ServiceError as error:
        st.error(explained(error), icon=":material/error:")
    else:
        jobs.open_job(job.id)
        st.rerun()
