""":material/extension: A module: what it computes, what it costs, what it gained."""

from difflib import get_close_matches
from html import escape

import pandas as pd
import streamlit as st

from attention.client import ServiceError
from attention.reports.cost import CostRequest
from attention.reports.overview import SHIPPED, OverviewRequest, OverviewRow
from attention.reports.parts.catalog import ModuleEntry
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import theme, verdicts, words
from dashboard.language import say, show_caption
from dashboard.refusals import explained
from dashboard.service_sentences import translated
from dashboard.views.module import hearing
from dashboard.widgets import linked, links

NAME = "name"
SIZES = {"resnet20": 32, "resnet50": 224, "mobilenetv2": 224}
"""Backbones on which a module is priced, with their usual input size in pixels."""
GROUPS = ("timm_resnet33ts", "eca_resnet50")
"""Published results that are looked through, beside the studies that come along."""


def main() -> None:
    entries = {entry.name: entry for entry in connect.catalog().modules}
    name = "".join(linked.words(NAME)[-1:])
    if name not in entries:
        near = get_close_matches(name, list(entries), 1)
        if name and name != theme.PLAIN:
            st.warning(linked.missing(name, theme.called(near[0]) if near else ""), icon=":material/link_off:")
        st.title(say("All modules"), anchor=False)
        for other in entries:
            links.to("module", theme.called(other), parameters={NAME: other})
        return
    entry = entries[name]
    st.html(
        f'<h1><span style="color:{theme.hue(name)}" aria-hidden="true">{theme.sign(name)}</span> '
        f"{escape(theme.called(name))}</h1><p>{escape(translated(entry.title))}</p>"
    )
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.code(entry.formula, language=None, wrap_lines=True)
        st.code(entry.code, language="python", wrap_lines=True)
        hearing.show(name)
    with right:
        _price(name)
        _evidence(name)
        _pitfalls(entry)
        _paper(entry)
    with st.container(horizontal=True):
        links.to("look", say("On a photo"), ":material/visibility:", {"net": [theme.PLAIN, name]})
        links.to("price", say("Its price on your network"), ":material/payments:", {"attention": [name]})
        links.to("learn", say("How a gate is computed"), ":material/school:", {"lesson": "0"})
        links.to("study", say("Train it"), ":material/science:", {"arm": [f"resnet20/{name}"]})


def _paper(entry: ModuleEntry) -> None:
    """The documentation of the module's file with its links, and its paper as BibTeX."""
    st.subheader(say("Paper"), anchor=False)
    for paper in entry.papers:
        st.markdown(f"[{paper}]({paper})")
    if entry.bibtex:
        drawing.save("BibTeX", lambda: entry.bibtex, f"{entry.name}.bib", "application/x-bibtex")
    with st.expander(say("Documentation of the module"), icon=":material/description:"):
        st.code(entry.doc, language=None, wrap_lines=True)


def _pitfalls(entry: ModuleEntry) -> None:
    notes = (*entry.traits.needs, *entry.traits.warnings)
    if notes:
        st.subheader(say("Pitfalls"), anchor=False)
        st.markdown("\n".join(f"- {translated(note)}" for note in notes))


def _price(name: str) -> None:
    """What the module adds on three backbones; one that it does not fit is left out with the reason."""
    st.subheader(say("Price"), anchor=False)
    rows = []
    for backbone, size in SIZES.items():
        try:
            request = CostRequest(variants=(Variant(backbone=backbone, attention=name),), input_size=size)
            (bill,) = connect.ask(request).variants
        except ServiceError as error:
            st.caption(explained(error))
            continue
        rows.append(
            {
                "": f"{words.backbones([backbone])[backbone]}, {size} px",
                say("parameters"): f"+{bill.delta.parameters:,}",
                say("MACs"): f"+{bill.delta.macs:,}",
            }
        )
    if rows:
        drawing.table(pd.DataFrame(rows).set_index(""), f"{name}-price")


def _evidence(name: str) -> None:
    """What the module gained, by each body of evidence that has it."""
    st.subheader(say("Evidence"), anchor=False)
    rows = []
    bodies = connect.ask(OverviewRequest(modules=())).bodies
    looked = [key for key in bodies if key.startswith(SHIPPED) or key in GROUPS]
    for evidence in looked:
        report = connect.ask(OverviewRequest(evidence=evidence, modules=()))
        rows += [
            {
                "": translated(report.evidence),
                say("gain, points"): _gain(row),
                say("verdict"): _verdict(row, report.ranked),
            }
            for row in report.rows
            if row.module == name and row.gain is not None
        ]
    if rows:
        drawing.table(pd.DataFrame(rows).set_index(""), f"{name}-evidence")
    else:
        show_caption("No evidence here yet. A study of your own data makes some.")
        links.to("study", say("Train it"), ":material/science:", {"arm": [f"resnet20/{name}"]})
    show_caption("Looked through: %(titles)s.", titles=say("; ").join(translated(bodies[key]) for key in looked))


def _gain(row: OverviewRow) -> str:
    assert row.gain is not None
    spread = f" [{verdicts.interval(row.interval)}]" if row.interval else ""
    return verdicts.points(row.gain) + spread


def _verdict(row: OverviewRow, ranked: bool) -> str:
    if row.verdict is not None:
        return verdicts.word(row.verdict.kind)
    return say("one run: not decided") if ranked else say("not one recipe")


main()
