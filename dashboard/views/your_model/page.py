""":material/deployed_code: Your model: what gates a model of your own has, and how to point at one."""

from html import escape
from typing import get_args

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from attention.client import ServiceError, Unreachable
from attention.names import short_size
from attention.reports.found_gates import GatesReport, GatesRequest
from attention.reports.parts.catalog import OwnModelEntry
from attention.spec import GateKind
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.language import marked, say, show_caption, show_text
from dashboard.refusals import explained
from dashboard.widgets import forms, linked, links, weights

NETWORK, POINTED = "network", "point"
FIRST = "resnet50/cbam"
"""What the page opens with where the service has no models of its operator."""
GIVES = {
    "classes": marked("classes"),
    "map": marked("a map of classes"),
    "boxes": marked("boxes"),
    "other": marked("something else"),
}
OPERATOR = '''def mine():
    """What it is, in a line."""
    return MyModel()

mine.labels = ["cat", "dog"]
mine.example = (3, 320, 320)  # ATTENTION_MODELS=/etc/attention/models.py'''
SCRIPT = """lab = attention.Lab()
mine = lab.add("mine", model, labels=["cat", "dog"])
print(lab.gates(variant=mine))"""


def main() -> None:
    st.title(say("Your model"), anchor=False)
    show_caption(
        "A gate is a bounded number that multiplies a map. Following one forward pass finds the gates of any "
        "model, whatever its classes are called."
    )
    entries = connect.catalog().own_models
    _listed(entries)
    with st.expander(say("How to bring a model"), icon=":material/add_circle:", expanded=not entries):
        _how()
    own_networks = [f"{entry.name}/none" for entry in entries if entry.problem is None]
    variant = forms.network(connect.catalog(), [*own_networks, FIRST], NETWORK)
    pointed = _pointed()
    if variant is None or pointed is None:
        return
    name = variant.name
    try:
        request = GatesRequest.model_validate({"variant": name, "gates": pointed})
    except ValidationError as error:
        st.error(forms.sentence(error))
        return
    try:
        with st.spinner(say("One pass …")):
            report = connect.ask(request)
    except Unreachable:
        raise
    except ServiceError as error:
        st.error(explained(error), icon=":material/error:")
        return
    _show(report)
    with st.container(horizontal=True):
        links.to("look", say("On a photo"), ":material/visibility:", {"variant": [name]})
        links.to("ablate", say("What is lost without its gates"), ":material/content_cut:", {"network": [name]})
        links.to("price", say("Its price"), ":material/payments:", {"more": [name]})


def _listed(entries: tuple[OwnModelEntry, ...]) -> None:
    """The models of the service's operator, each with what it gives or why it cannot be asked about."""
    if not entries:
        return
    rows = [
        {
            "name": entry.name,
            "what": entry.title,
            "gives": say(GIVES[entry.outputs]) if entry.problem is None else explained(entry.problem),
            "size": f"{short_size(entry.input_size)} px" if entry.problem is None else "",
            "parameters": f"{entry.parameters:,}" if entry.problem is None else "",
            "gates": f"{entry.gates:,}" if entry.problem is None else "",
        }
        for entry in entries
    ]
    drawing.table(pd.DataFrame(rows), "own-models", index=False)


def _how() -> None:
    """The three safe ways of a model into a service or a script, as text and code."""
    show_text(
        "Networks of timm and torchvision go by name, such as `timm(model=seresnet50)`, where these are installed. "
        "Any other model stands in a file of the operator's, or in an installed package under the entry points "
        "`attention_lab.models`. Weights are uploaded as safetensors; code and pickles are never uploaded."
    )
    if (sent := weights.upload()) is not None:
        st.session_state[NETWORK] = sent.name
    st.code(OPERATOR, language="python")
    show_text("In a script or notebook no service is needed:")
    st.code(SCRIPT, language="python")


def _pointed() -> dict[str, str] | None:
    """Submodules whose outputs are said to be gates, with their kind; None if the text is no such list."""
    linked.start(POINTED, "", lambda texts: texts[0])
    text = st.text_input(
        say("Point at submodules"),
        key=POINTED,
        placeholder="layer1.*.att.act=channel",
        help=say(
            "PATH=KIND, several with commas: the outputs of these submodules are gates, whatever is found. * stands "
            "for anything within a part of a path, ** across parts. Kinds: %(kinds)s.",
            kinds=", ".join(get_args(GateKind)),
        ),
        persist_state="session",
    )
    linked.write(POINTED, [text] if text else [])
    pairs = [pair.strip().partition("=") for pair in text.split(",") if pair.strip()]
    for path, sign, kind in pairs:
        if not sign or kind.strip() not in get_args(GateKind):
            st.error(say("%(part)s is not PATH=KIND, such as layer1.*.att.act=channel.", part=f"{path}{sign}{kind}"))
            return None
    return {path.strip(): kind.strip() for path, _, kind in pairs}


def _show(report: GatesReport) -> None:
    """The gates as a table, and what is unclear."""
    weights = sum(gate.entries for gate in report.gates)
    summary = say("%(count)s gates, %(weights)s weights an image", count=len(report.gates), weights=f"{weights:,}")
    st.html(f"<p><b>{escape(summary)}</b> · {escape(report.network)} · {escape(report.example)}</p>")
    if report.gates:
        rows = [
            {
                "gate": gate.path,
                "layer": "" if gate.stage is None else f"{gate.stage}.{gate.block}",
                "module": gate.module if gate.mechanism is None else f"{gate.module} ({gate.mechanism})",
                "kind": gate.kind,
                "entries": f"{gate.entries:,}",
                "bounded by": gate.activation or "–",
                "neutral": "–" if gate.neutral is None else f"{gate.neutral:g}",
            }
            for gate in report.gates
        ]
        drawing.table(pd.DataFrame(rows), "gates", index=False)
    drawing.caveats(report.caveats)
    if report.unclear:
        st.subheader(say("Unclear"), anchor=False)
        rows = [
            {"where": one.path, "operation": one.operation, "bounded by": one.activation or "–", "size": one.shape}
            for one in report.unclear
        ]
        drawing.table(pd.DataFrame(rows), "unclear", index=False)


main()
