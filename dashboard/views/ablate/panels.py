"""What Ablate shows: a photo with its switches, a sweep over a data set while it runs and when it is done."""

from collections.abc import Callable
from typing import get_args

import streamlit as st

from attention.reports.sweep import FAMILIES, SweepReport, SweepRequest, WhatIfReport, WhatIfRequest
from attention.schemas import Image
from attention.spec import ABLATIONS, AblationKind, Pictures, Variant
from dashboard import connect
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import listed, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.views.ablate import charts as gate_charts
from dashboard.views.ablate import form as gate_form
from dashboard.widgets import data_sets, gates, photos


def definitions() -> None:
    """What each replacement asks."""
    with st.popover(say("What the replacements mean"), icon=":material/help:"):
        st.markdown(
            "\n".join(f"- **{gate_charts.kind(name)}** (`{name}`): {say(text)}" for name, text in ABLATIONS.items())
        )
        show_caption("One gate at a time under-estimates what gates do together, so stages and all are shown as well.")


# ---------------------------------------------------------------- one photo


def photo(image: Image, variant: Variant) -> None:
    """Every gate, stage and all of them replaced in turn; and a set of one's own."""
    tried = gate_form.kinds()
    report = _ask(WhatIfRequest(variant=variant, images=(image.id,), kinds=_kinds(tried)))
    if report is None:
        return
    drawing.caveats(report.caveats)
    off, by = gate_form.switches(report.sites, tried)
    left, middle, right = st.columns([1, 2, 3], gap="medium")
    left.image(connect.picture(image, 480), width="stretch", alt=photos.title(image))
    left.caption(photos.title(image))
    with middle:
        _switched(image, variant, off, by)
    with right:
        show_text("**Each gate, each stage, all of them**")
        drawing.draw(gate_charts.photo_map(report, image.id), "gates-of-a-photo")
        show_caption(
            "Orange cells cost the first class probability, violet ones add some; a dot marks another first class. "
            "Look for gates whose mean does as well as they do: there attention does not listen to this photo."
        )
    drawing.files(report, f"whatif {words.network_label(report.network)}", device=report.device)


def _switched(image: Image, variant: Variant, off: tuple[str, ...], by: str) -> None:
    show_text("**What if these gates were off?**")
    if not off:
        st.info(say("Nothing is switched off. Pick gates above."))
        return
    request = WhatIfRequest(variant=variant, images=(image.id,), kinds=_kinds((by,)), sets=(off,), scopes=())
    mine = _ask(request)
    if mine is None or not mine.effects:
        return
    effect = mine.effects[-1]
    before = mine.photos[0].top[0]
    now, share = gate_charts.class_label(effect.first), f"{effect.first.probability:.0%}"
    if effect.flips:
        st.warning(say("Now it says **%(now)s** (%(share)s).", now=now, share=share), icon=":material/swap_horiz:")
    else:
        text = say(
            "It still says **%(now)s**: %(before)s → %(share)s.",
            now=now,
            before=f"{before.probability:.0%}",
            share=share,
        )
        st.success(text, icon=":material/check:")
    drawing.draw(gate_charts.before_after(mine, effect), "before-and-after")
    show_caption("Ring: as they are; disc: replaced.")
    show_caption(
        "%(gates)s of %(sites)s gates replaced by %(kind)s: %(meaning)s",
        gates=effect.gates,
        sites=len(mine.sites),
        kind=gate_charts.kind(by),
        meaning=say(ABLATIONS[effect.kind]),
    )


def _kinds(names: tuple[str, ...]) -> tuple[AblationKind, ...]:
    return tuple(name for name in get_args(AblationKind) if name in names)


def _ask(request: WhatIfRequest) -> WhatIfReport | None:
    with st.spinner(say("Replacing gates …")):
        return connect.ask(request)


def sweep_described(request: SweepRequest) -> str:
    """A sweep in a line."""
    kinds = listed(gate_charts.kind(name) for name in request.kinds)
    return say("%(name)s: %(text)s", name=gates.described(request), text=kinds)


def sweep_form() -> Callable[[], SweepRequest] | None:
    """Which network, which replacements, which images."""
    variant = gates.network(connect.catalog())
    data = data_sets.data_set()
    tried = gate_form.kinds()
    if variant is None or data is None:
        return None
    limit = gates.images(data)
    return lambda: SweepRequest(variant=variant, images=Pictures(data=data.name, limit=limit), kinds=_kinds(tried))


def show(report: SweepReport, final: bool) -> None:
    """A sweep: the finding first, then gate by gate, stages, cumulative curves and redundancy."""
    st.subheader(translated(report.headline), anchor=False)
    drawing.caveats(report.caveats)
    accuracy = (
        say("top-1 %(accuracy)s %% untouched; ", accuracy=f"{report.accuracy:.2f}")
        if report.accuracy is not None
        else ""
    )
    calibration = translated(report.calibration or "")
    put_in = say(" Put in: %(calibration)s.", calibration=calibration) if calibration else ""
    network, images = words.network_label(report.network), translated(report.images)
    st.caption(f"{network} · {images}, {accuracy}n = {report.n:,}.{put_in}")
    if not report.effects:
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        show_text("**Gate by gate**")
        drawing.draw(gate_charts.sweep_map(report), "sweep")
        st.caption(
            (say("Orange costs accuracy. ") if report.labelled else say("Cells count first classes that stay. "))
            + say(
                "Look for rows that stay pale under “mean”: those gates could be constants, and a "
                "constant can be folded away. Intervals are under the pointer."
            )
        )
    with right:
        if (chart := gate_charts.stages(report)) is not None:
            st.markdown(f"**{say('Stages')}**")
            drawing.draw(chart, "stages")
            show_caption("A bar that touches the dashed line is no proven loss.")
        if (curve := gate_charts.cumulative(report)) is not None:
            show_text("**One after another**")
            drawing.draw(curve, "cumulative")
            show_caption(
                "%(order)s; and the same from the other end.",
                order=say(FAMILIES["first_to_last"]).capitalize(),
            )
    if report.redundancy:
        with st.expander(say("Together against one by one"), icon=":material/difference:"):
            drawing.table(gate_charts.redundancy(report.redundancy), "redundancy", index=False)
            show_caption(
                "Redundant: together they hurt more than the sum of each alone, so each was stood in for by the others."
            )
    st.caption(translated(report.methods))
    if final:
        drawing.files(report, f"sweep {words.network_label(report.network)}", device=report.device)
