"""Catalogue entry -> widgets: the signature of a module or backbone is its form.

The options of an entry come as JSON Schema. Each property becomes the widget that fits its type, and a type
nobody has thought of yet becomes a text field, so that a new module needs no edit here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError
from streamlit.delta_generator import DeltaGenerator

from attention.errors import AttentionError
from attention.names import BARE, read_value, split_names
from attention.registry.aliases import canonical, renamings
from attention.reports.parts.catalog import BackboneEntry, Catalog, ModuleEntry
from attention.spec import Options, OptionValue, Placement, Variant
from dashboard.drawing import theme, words
from dashboard.language import marked, say
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.widgets import linked

NUMBER = marked("a number")
PLAIN = "none"
NAMES = marked(
    "A name is backbone/attention(option=value)@position:stages. A module's name alone is a trained network."
)


def sentence(error: ValidationError) -> str:
    """The first fault of a request that does not validate, as one line."""
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else str(fault["msg"])


def read_variants(text: str) -> tuple[list[Variant], list[str]]:
    """The variants that short names stand for, one a line or separated by commas, and a sentence for each bad one."""
    variants, problems = [], []
    for name in (name for line in text.splitlines() for name in split_names(line)):
        try:
            variants.append(Variant.parse(name))
        except ValidationError as error:
            problems.append(f"{name}: {sentence(error)}")
        except AttentionError as error:
            problems.append(explained(error))
    return variants, problems


def variants(
    catalog: Catalog, default: Sequence[Variant], key: str, label: str = "", about: str = ""
) -> tuple[Variant, ...]:
    """The variants to look at: shipped ones to pick, any short name to type, and a form that builds one.

    The choice is kept in the address of the page, so that a link shows the same.
    """
    linked.start(key, [variant.name for variant in default], lambda texts: texts)
    st.session_state[key] = list(dict.fromkeys(_canonical(name) for name in st.session_state[key]))
    own_networks = [f"{entry.name}/none" for entry in catalog.own_models if entry.problem is None]
    offered_first = [entry.name for entry in catalog.shipped] + own_networks + [variant.name for variant in default]
    offered = list(dict.fromkeys(offered_first + st.session_state[key]))
    called = words.in_lists(offered)
    names = st.multiselect(
        label or say("Networks"),
        offered,
        key=key,
        accept_new_options=True,
        select_all=False,  # else Enter takes every name that the typed letters fit
        filter_mode="contains",
        format_func=lambda name: called.get(name, name),
        placeholder=say("Pick a network or type a name such as resnet50/se(reduction=8)@standard:3-4"),
        help=f"{about} {say(NAMES)}".strip(),
        persist_state="session",
    )
    box = st.expander(say("Build another network"), icon=":material/add_circle:", key=f"{key}.box", on_change="rerun")
    if box.open:
        with box:
            made = variant(catalog, f"{key}.new").name
            left, right = st.columns([4, 1], vertical_alignment="center")
            left.code(made, language=None)
            right.button(say("Add"), key=f"{key}.add", on_click=_add, args=(key, made), type="primary", width="stretch")
    chosen, problems = _current(catalog, *read_variants("\n".join(names)))
    for problem in problems:
        st.error(problem)
    linked.write(key, names)
    return tuple(dict.fromkeys(chosen))


def network(catalog: Catalog, names: Sequence[str], key: str) -> Variant | None:
    """One network of a list, the first at the beginning, or any by its short name. It stands in the page's address."""
    linked.start(key, names[0], lambda texts: texts[0] or None)
    offered = list(dict.fromkeys([*names, st.session_state[key] or names[0]]))
    called = words.in_lists(offered)
    name = st.selectbox(
        say("Network"),
        offered,
        key=key,
        accept_new_options=True,
        format_func=lambda name: called.get(name, name),
        help=say(NAMES),
        persist_state="session",
    )
    chosen, problems = _current(catalog, *read_variants(name or ""))
    for problem in problems:
        st.error(problem)
    if problems or not chosen:
        return None
    linked.write(key, [chosen[0].name])
    return chosen[0]


def _current(catalog: Catalog, chosen: Sequence[Variant], problems: Sequence[str]) -> tuple[list[Variant], list[str]]:
    """The variants in the names of today; what is called otherwise now is said."""
    backbones, modules = ([entry.names for entry in shelf] for shelf in (catalog.backbones, catalog.modules))
    current, faults = [], list(problems)
    for written in chosen:
        for renaming in renamings(written, backbones, modules):
            st.warning(renaming)
        try:
            current.append(canonical(written, backbones, modules))
        except AttentionError as error:
            faults.append(explained(error))
    return current, faults


def _canonical(name: str) -> str:
    read, _ = read_variants(name)
    return read[0].name if len(read) == 1 else name


def _add(key: str, name: str) -> None:
    st.session_state[key] = [*st.session_state[key], name]


def options(schema: Mapping[str, Any], key: str) -> Options:
    """Widgets for the options in a JSON Schema; gives those that differ from their defaults."""
    chosen: Options = {}
    for name, field in schema.get("properties", {}).items():
        value = _widget(name, _resolve(field, schema), f"{key}.{name}")
        if value is not None and value != field.get("default"):
            chosen[name] = value
    return chosen


def variant(catalog: Catalog, key: str) -> Variant:
    """A picker for any variant that the catalogue can make."""
    left, right = st.columns(2)
    with left:
        backbone = _entry(say("Backbone"), catalog.backbones, f"{key}.backbone")
        backbone_options = options(backbone.options, f"{key}.backbone.{backbone.name}")
    with right:
        names = [PLAIN, *(entry.name for entry in catalog.modules)]
        start = names.index("se") if "se" in names else 0
        picked = st.selectbox(say("Attention"), names, start, theme.called, key=f"{key}.attention")
        module = next((entry for entry in catalog.modules if entry.name == picked), None)
        chosen = options(module.options, f"{key}.attention.{module.name}") if module else {}
        if module:
            about_module(module, backbone)
    placement = _placement(catalog, backbone, f"{key}.{backbone.name}") if module else Placement()
    made = Variant(
        backbone=backbone.name,
        backbone_options=backbone_options,
        attention=module.name if module else None,
        options=chosen,
        placement=placement,
    )
    twins = [entry.card.variant for entry in catalog.shipped]
    if any(_same_network(made, twin) for twin in twins) and st.checkbox(
        say("Shipped weights"),
        value=True,
        key=f"{key}.shipped",
        help=say("A trained checkpoint of this network is included."),
    ):
        made = made.model_copy(update={"weights": "shipped"})
    return made


def _same_network(made: Variant, shipped: Variant) -> bool:
    free = {"weights": None, "classes": None, "seed": 0}
    return made.model_copy(update=free) == shipped.model_copy(update=free)


def _entry(label: str, entries: Sequence[BackboneEntry], key: str) -> BackboneEntry:
    titles = {entry.name: entry.title for entry in entries}
    start = list(titles).index(BARE["backbone"]) if BARE["backbone"] in titles else 0
    called = words.backbones(titles)
    name = st.selectbox(
        label,
        list(titles),
        start,
        called.__getitem__,
        key=key,
        help="  \n".join(f"**{n}** {translated(t)}" for n, t in titles.items()),
    )
    return next(entry for entry in entries if entry.name == name)


def _placement(catalog: Catalog, backbone: BackboneEntry, key: str) -> Placement:
    left, right = st.columns(2)
    picked = position(left, catalog, backbone, key)
    has = next((stages for name, stages in backbone.positions.items() if name == picked), ())
    stages = right.multiselect(
        say("Stages"),
        has,
        key=f"{key}.{picked}.stages",
        select_all=False,
        placeholder=say("all"),
        help=say("Left empty: every stage."),
        disabled=not has,
    )
    return Placement.model_validate(
        {"position": picked, "stages": stages if stages and len(stages) < len(has) else None}
    )


def position(column: DeltaGenerator, catalog: Catalog, backbone: BackboneEntry, key: str) -> str:
    """A picker for the places that a backbone has."""
    positions = [name for name in catalog.placements if name in backbone.positions or name == "published"]
    about = "  \n".join(f"**{name}** {translated(catalog.placements[name])}" for name in positions)
    return str(column.selectbox(say("Position"), positions, key=f"{key}.position", help=about, persist_state="session"))


def about_module(module: ModuleEntry, backbone: BackboneEntry) -> None:
    """What a module is, where its paper puts it in a backbone, and what to know before comparing it."""
    place = module.published.get(backbone.name)
    called = say(" Also called %(words)s.", words=", ".join(module.names.aliases)) if module.names.aliases else ""
    st.caption(
        f"{translated(module.title)}{called}"
        + (say(" Its paper's place here: `%(place)s`.", place=place) if place else "")
    )
    for note in (*module.traits.needs, *module.traits.warnings):
        st.caption(f":material/info: {translated(note)}")


# ---------------------------------------------------------------- one widget for each type


def _resolve(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The field with a ``$ref`` replaced by what it points to."""
    if "$ref" not in field:
        return field
    return {**schema.get("$defs", {}).get(field["$ref"].rsplit("/", 1)[-1], {}), **field}


def _widget(name: str, field: Mapping[str, Any], key: str) -> OptionValue | None:
    kinds = [kind for kind in field.get("anyOf", [field]) if kind.get("type") != "null"]
    names = [value for kind in kinds for value in _named(kind)]
    rest = [kind for kind in kinds if not _named(kind)]
    label, default = option_label(name), field.get("default")
    about = translated(str(field.get("description", ""))) or None
    if not names:
        return _free(label, rest[0] if rest else {}, default, about, key)
    offered = [*names, NUMBER] if rest else names
    start = offered.index(default) if default in offered else len(names) if rest else 0
    picked: OptionValue = st.selectbox(label, offered, start, _choice, key, about, persist_state="session")
    return picked if picked != NUMBER else _free(f"{label}: {say(NUMBER)}", rest[0], default, None, f"{key}.number")


def option_label(name: str) -> str:
    """What an option is called in the reader's language, with its name in short names beside it: ``学习率 `lr` ``."""
    called = say(f"`{name}`")
    return name if called == f"`{name}`" else called


def _choice(value: OptionValue) -> str:
    """A value as its list shows it."""
    return say(NUMBER) if value == NUMBER else str(value)


def _named(kind: Mapping[str, Any]) -> list[OptionValue]:
    return list(kind["enum"]) if "enum" in kind else [kind["const"]] if "const" in kind else []


def _free(label: str, kind: Mapping[str, Any], default: Any, about: str | None, key: str) -> OptionValue | None:
    low, high = kind.get("minimum", kind.get("exclusiveMinimum")), kind.get("maximum", kind.get("exclusiveMaximum"))
    settings: dict[str, Any] = {"help": about, "key": key, "persist_state": "session"}
    match kind.get("type"):
        case "boolean":
            return bool(st.checkbox(label, value=bool(default), **settings))
        case "integer":
            start = default if isinstance(default, int) else 3 if _within(3, low, high) else low
            whole: int = st.number_input(label, low, high, start, step=1, **settings)
            return whole
        case "number":
            least, most = (None if limit is None else float(limit) for limit in (low, high))
            return float(st.number_input(label, least, most, float(default or 0), format="%g", **settings))
        case _:
            text = st.text_input(label, "" if default is None else str(default), **settings).strip()
            return read_value(text) if text else None


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)
