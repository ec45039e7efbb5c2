"""What a page shows of a comparison in numbers: what was loaded, statistics of every gate, downloads."""

import streamlit as st

from attention.reports.compare import Comparison
from attention.reports.parts.checkpoints import LoadReport
from attention.schemas import Image
from dashboard.drawing import draw as drawing
from dashboard.drawing import marks as charts
from dashboard.drawing import tables
from dashboard.language import say, show_caption


def statistics(report: Comparison, image: Image) -> None:
    """Every gate in numbers, the curve of their means over depth, and where weights come from."""
    st.markdown(f"**{say('Statistics of every gate')}**")
    if (curve := charts.depth(report, image.id)) is not None:
        drawing.plot(curve, say("Mean weight of each layer with its standard deviation."))
    if gated(report):
        with st.container(height=420):
            drawing.table(tables.statistics_text(report, image.id), "gates", index=False)
    else:
        show_caption("These networks have no gates.")
    for variant in report.variants:
        if variant.load is not None and variant.load.weights != "shipped":
            st.markdown(f"**{say('What was loaded')}: {variant.name}**")
            st.markdown(loaded(variant.load))


def gated(report: Comparison) -> bool:
    """Whether any network of a comparison has gates."""
    return any(prediction.gates for prediction in report.predictions)


def loaded(load: LoadReport) -> str:
    """What became of a checkpoint's tensors, as a list in Markdown; nothing is left out."""
    lines = [say("%(loaded)s tensors from `%(file)s`.", loaded=f"{load.loaded:,}", file=load.file)]
    lines += [
        say(
            "%(count)s are called `%(found)s` there and `%(ours)s` here",
            count=f"{renaming.count:,}",
            found=renaming.found,
            ours=renaming.ours,
        )
        for renaming in load.renamed
    ]
    for what, tensors in (
        (say("Not in the file"), load.missing),
        (say("In the file and without a place"), load.unexpected),
    ):
        if tensors:
            lines.append(f"{what}: {', '.join(f'`{name}`' for name in tensors)}")
    for module in load.fresh:
        effect = say("exactly the identity") if module.identity else say("on a map that does not vary")
        if module.kept is not None and not module.identity:
            effect = say("leaves %(kept)s of the spread of what arrives", kept=f"{module.kept:.0%}")
        lines.append(say("Fresh attention at `%(slot)s`: %(effect)s", slot=module.slot, effect=effect))
    return "\n".join(f"- {line}" for line in (*lines, *load.notes))


def downloads(report: Comparison) -> None:
    """The numbers behind the pictures."""
    names = " ".join(sorted({variant.variant.attention or "none" for variant in report.variants}))
    about = f"look {report.variants[0].variant.backbone} {names}"
    drawing.files(report, about, {"gates": say("Statistics (CSV)")} if gated(report) else {})
    if gated(report):
        drawing.save(
            say("Channel weights (CSV)"), lambda: tables.weights_csv(report), f"{about} weights.csv", "text/csv"
        )
    show_caption(
        "Computed on %(device)s in %(dtype)s; channel weights travel as 16-bit floats. The address "
        "of this page is a link to what it shows.",
        device=report.device,
        dtype=report.dtype,
    )
