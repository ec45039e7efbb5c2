"""What the page shows of a study: the verdict first, then table, pictures, curves and files."""

import streamlit as st

from attention.reports.evidence import Verdict
from attention.reports.study import StudyReport
from dashboard.drawing import words
from dashboard.views.study import charts as study_charts

BADGES: dict[str, str] = {
    "better": ":green-badge[better]",
    "worse": ":red-badge[worse]",
    "equivalent": ":blue-badge[no difference]",
    "undecided": ":gray-badge[not decided]",
    "too few seeds": ":gray-badge[too few seeds]",
    "nothing learned": ":orange-badge[nothing learned]",
    "withheld": ":orange-badge[withheld]",
}
DEFINITION = """
Each arm has one interval for its mean difference to the baseline over runs of the same seeds. Intervals are wide
enough that, over all arms and all looks of the plan, the chance that even one of them misses the truth is at most 5
%. The verdict is read off the interval: inside the margin, **no difference larger than the margin**; else wholly
above zero, **better**; wholly below, **worse**; else **not decided**. More arms, or the right to add seeds, make
intervals wider.

Nothing is said with fewer seeds than planned (*too few seeds*), where no run is better than always naming the most
frequent class (*nothing learned*), or where a run diverged or arms differ in more than their attention (*withheld*).
The interval covers new seeds, and new images of the same kind where it is known which images each run got right. An
early "better" overstates: quote the interval, not the mean. `docs/verdicts.md` has the whole rule.
"""
COSTS = {"extra_parameters": "parameters", "extra_macs": "MACs"}
KINDS = {"accuracy": "accuracy", "loss": "training loss"}


def verdict(report: StudyReport) -> None:
    """What may be said, in words, with all that speaks against saying more."""
    label = study_charts.called(report)
    st.subheader(words.relabelled(report.headline, label), anchor=False)
    for arm in report.arms:
        if arm.verdict is not None:
            st.markdown(f"{badge(arm.verdict)} {words.relabelled(arm.verdict.sentence, label)}")
            for note in arm.verdict.notes:
                st.caption(words.relabelled(note, label))
    for fact in report.test_set:
        st.caption(fact)
    with st.expander("How a verdict is given", icon=":material/gavel:"):
        st.markdown(DEFINITION)
    for caveat in report.caveats:
        st.warning(words.relabelled(caveat, label), icon=":material/warning:")


def badge(verdict: Verdict) -> str:
    """A verdict in a word."""
    return BADGES.get(verdict.kind, f":gray-badge[{verdict.kind}]")


def details(report: StudyReport) -> None:
    """Table, paired differences, cost beside gain, the sweep's picture."""
    st.table(study_charts.table(report))
    st.caption(_conditions(report))
    drawn = study_charts.differences(report)
    if drawn is None:
        st.info("No seed is finished in two arms yet, so there are no differences to show.")
    else:
        left, right = st.columns(2, gap="large")
        with left:
            st.markdown("**Paired differences**")
            st.altair_chart(drawn, width="stretch")
            band = "" if report.margin is None else f", the grey band the margin of {report.margin:g} points"
            st.caption(
                f"A dot is a seed, the bar the interval of the mean, 95 % over all arms and looks together{band}. A "
                "bar inside the band is no difference that matters; else one right of 0 is a gain."
            )
        with right:
            st.markdown("**Cost beside gain**")
            cost = st.segmented_control(
                "Cost",
                list(COSTS),
                format_func=COSTS.__getitem__,
                default="extra_parameters",
                key="cost",
                required=True,
            )
            if (scatter := study_charts.gains(report, cost)) is not None:
                st.altair_chart(scatter, width="stretch")
                st.caption("Up is better, left is cheaper. A line is the interval of the gain.")
            else:
                st.caption("Without a verdict there is no interval of a gain to show.")
    for title, chart in study_charts.sweeps(report).items():
        st.markdown(f"**Sweep of {title}**")
        st.altair_chart(chart, width="stretch")


def curves(report: StudyReport, key: str = "curve") -> None:
    """Every run after every epoch."""
    kind = st.segmented_control(
        "Curve", list(KINDS), format_func=KINDS.__getitem__, default="accuracy", key=key, required=True
    )
    if (chart := study_charts.curves(report, kind)) is not None:
        st.altair_chart(chart, width="stretch")
        st.caption("A thin line is a run, the thick one the mean over the seeds of a network.")


def runs(report: StudyReport) -> None:
    """Every run with its result, and what a variant says to use its weights elsewhere."""
    label = study_charts.called(report)
    rows = [
        {
            "network": label[run.arm],
            "seed": run.seed,
            "accuracy, %": "" if run.test_accuracy is None else f"{100 * run.test_accuracy:.2f}",
            "epochs": len(run.curve),
            "seconds": f"{run.seconds:.1f}",
            "weights": run.weights or run.failed or "",
        }
        for run in report.runs
    ]
    with st.expander(f"All {len(rows)} runs", icon=":material/list:"):
        st.dataframe(rows, hide_index=True, width="stretch")
        st.caption("Weights can be named in every other question: `NETWORK?weights=file:run-…`.")


def downloads(report: StudyReport) -> None:
    """The study as files."""
    with st.container(horizontal=True):
        for label, data, file in (
            ("Report (JSON)", report.model_dump_json(indent=1), "study.json"),
            ("Runs (CSV)", report.csv(), "study.csv"),
            ("Classes (CSV)", report.csv("classes"), "classes.csv"),
            ("Table (LaTeX)", report.latex(), "study.tex"),
        ):
            st.download_button(label, data, file, on_click="ignore", icon=":material/download:", key=file)


def _conditions(report: StudyReport) -> str:
    data, recipe = report.data, report.recipe
    return (
        f"{data.sentence} Images of {data.size} pixels, {len(data.classes)} classes. {recipe.epochs} epochs, batch "
        f"{recipe.batch_size}, peak rate {recipe.lr:g}. Accuracy after the last epoch, mean over n seeds; differences "
        "are paired by seed, their intervals 95 % over all arms and all looks of the plan together; p is below 0.05 "
        "where the interval excludes 0. MACs are multiply-accumulates of one image. Trained on "
        f"{report.device}, torch {report.torch}."
    )
