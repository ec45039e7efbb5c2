"""What the page shows of a study: the verdict first, then table, pictures, curves and files."""

from collections.abc import Mapping, Sequence

import altair as alt
import pandas as pd
import streamlit as st

from attention.reports.parts.evidence import Verdict
from attention.reports.parts.study_classes import ArmClasses
from attention.reports.study import StudyReport
from dashboard.drawing import classes as class_drawing
from dashboard.drawing import draw as drawing
from dashboard.drawing import words
from dashboard.language import marked, say, show_caption, show_text
from dashboard.service_sentences import translated
from dashboard.views.study import charts as study_charts

BADGES: dict[str, str] = {
    "better": marked(":green-badge[better]"),
    "worse": marked(":red-badge[worse]"),
    "equivalent": marked(":blue-badge[no difference]"),
    "undecided": marked(":gray-badge[not decided]"),
    "too few seeds": marked(":gray-badge[too few seeds]"),
    "nothing learned": marked(":orange-badge[nothing learned]"),
    "withheld": marked(":orange-badge[withheld]"),
}
DEFINITION = marked("""
Each arm has one interval for its mean difference to the baseline over runs of the same seeds. Intervals are wide
enough that, over all arms and all looks of the plan, the chance that even one of them misses the truth is at most 5
%. The verdict is read off the interval: inside the margin, **no difference larger than the margin**; else wholly
above zero, **better**; wholly below, **worse**; else **not decided**. More arms, or the right to add seeds, make
intervals wider.

Nothing is said with fewer seeds than planned (*too few seeds*), where no run is better than always naming the most
frequent class (*nothing learned*), or where a run diverged or arms differ in more than their attention (*withheld*).
The interval covers new seeds, and new images of the same kind where it is known which images each run got right. An
early "better" overstates: quote the interval, not the mean. `docs/verdicts.md` has the whole rule.
""")
DESCRIPTION = marked("A description, not corrected for the number of classes: no verdict follows from it.")
FEW = 4
"""Up to so many undecided verdicts are shown; more are folded into one line."""
COSTS = {"extra_parameters": "parameters", "extra_macs": "MACs"}
KINDS = {"accuracy": marked("accuracy"), "loss": marked("training loss")}


def verdict(report: StudyReport) -> None:
    """What may be said, in words, with all that speaks against saying more."""
    label = study_charts.called(report)
    st.subheader(words.relabelled(translated(report.headline), label), anchor=False)
    found = [arm.verdict for arm in report.arms if arm.verdict is not None]
    verdicts(found, label)
    drawing.caveats([*report.caveats, *(note for one in found for note in one.notes), *report.test_set], label)
    choice(report)
    with st.expander(say("How a verdict is given"), icon=":material/gavel:"):
        st.markdown(say(DEFINITION))


def choice(report: StudyReport) -> None:
    """What was chosen, and the validation accuracy of everything that it was chosen among, best first."""
    if report.choice is None:
        return
    chosen, label = report.choice, study_charts.called(report)
    best_first = sorted(chosen.validation_accuracy.items(), key=lambda arm: -arm[1])
    rows = [
        {
            "network": words.relabelled(name, label),
            "validation accuracy, %": f"{mean:.2f}",
            "behind the best, points": f"{chosen.validation_accuracy[chosen.arm] - mean:.2f}",
            "chosen": "✓" if name == chosen.arm else "",
        }
        for name, mean in best_first
    ]
    drawing.table(pd.DataFrame(rows), "choice", index=False)
    show_caption(
        "Mean over %(n)s seeds on %(images)s validation images. The test images had no part in it; what was chosen "
        "has %(accuracy)s %% on them, and is tested with seeds from %(seed)s on.",
        n=chosen.n,
        images=f"{report.data.validation_images:,}",
        accuracy=f"{chosen.test_accuracy:.2f}",
        seed=chosen.next_seed,
    )


def verdicts(found: Sequence[Verdict], label: Mapping[str, str]) -> None:
    """Show each verdict as a badge and a sentence; more than `FEW` undecided ones are folded into one line.

    Args:
        label: full name of a network -> what pictures call it.
    """

    def show(some: Sequence[Verdict]) -> None:
        for one in some:
            badge = say(BADGES.get(one.kind, f":gray-badge[{one.kind}]"))
            st.markdown(f"{badge} {words.relabelled(translated(one.sentence), label)}")

    undecided = [one for one in found if one.kind == "undecided"]
    if len(undecided) <= FEW:
        return show(found)
    show([one for one in found if one.kind != "undecided"])
    with st.expander(say("%(count)s not decided, and what would decide them", count=len(undecided))):
        show(undecided)


def details(report: StudyReport) -> None:
    """Table, paired differences, cost beside gain, the sweep's picture."""
    drawing.table(study_charts.table(report), "study")
    st.caption(_conditions(report))
    drawn = study_charts.differences(report)
    if drawn is None:
        st.info(say("No seed is finished in two arms yet, so there are no differences to show."))
    else:
        left, right = st.columns(2, gap="large")
        with left:
            show_text("**Paired differences**")
            drawing.plot(drawn)
            band = (
                ""
                if report.margin is None
                else say(", the grey band the margin of %(margin)s points", margin=f"{report.margin:g}")
            )
            show_caption(
                "A dot is a seed, the bar the interval of the mean, 95 %% over all arms and looks "
                "together%(band)s. A bar inside the band is no difference that matters; else one right of 0 "
                "is a gain.",
                band=band,
            )
        with right:
            show_text("**Cost beside gain**")
            cost = st.segmented_control(
                say("Cost"),
                list(COSTS),
                format_func=lambda cost: say(COSTS[cost]),
                default="extra_parameters",
                key="cost",
                required=True,
            )
            if (scatter := study_charts.gains(report, cost)) is not None:
                drawing.plot(scatter)
                show_caption("Up is better, left is cheaper. A line is the interval of the gain.")
            else:
                show_caption("Without a verdict there is no interval of a gain to show.")
    for title, chart in study_charts.sweeps(report).items():
        show_text("**Sweep of %(title)s**", title=title)
        drawing.plot(chart)


def curves(report: StudyReport, key: str = "curve") -> None:
    """Every run after every epoch."""
    kind = st.segmented_control(
        say("Curve"), list(KINDS), format_func=lambda kind: say(KINDS[kind]), default="accuracy", key=key, required=True
    )
    if (chart := study_charts.curves(report, kind)) is not None:
        drawing.plot(chart)
        show_caption("A thin line is a run, the thick one the mean over the seeds of a network.")


def classes(report: StudyReport) -> None:
    """Recall of every class over the seeds of each arm, and what each class is taken for."""
    label = study_charts.called(report)
    left, right = st.columns(2, gap="large")
    with left:
        recalls(report.classes, label, study_charts.colours(report, [label[arm.arm] for arm in report.classes]))
    with right:
        st.markdown(f"**{say('Which class is taken for which')}**")
        named = {arm.arm: arm for arm in report.classes if arm.confusion is not None}
        if not named:
            show_caption("Not every run has kept its confusion matrix.")
            return
        chosen = st.selectbox(say("Network"), list(named), format_func=label.__getitem__, key="classes.arm")
        arm = named[chosen]
        drawing.draw(class_drawing.confusion(arm.confusion or (), report.data.classes), "confusion")
        show_caption(
            "Share of each true class, mean over %(n)s runs; balanced accuracy %(share)s %%.",
            n=arm.n,
            share=f"{arm.balanced_accuracy:.2f}",
        )


def recalls(arms: Sequence[ArmClasses], label: Mapping[str, str], colour: alt.Color) -> None:
    """Recall of every class over the seeds of each arm, in the arms' colours."""
    st.markdown(f"**{say('Recall of each class')}**")
    drawing.draw(class_drawing.recalls(arms, label, colour), "classes")
    show_caption("A dot is the mean over seeds, the line one standard deviation either way.")
    st.caption(say(DESCRIPTION))


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
    st.dataframe(drawing.in_words(pd.DataFrame(rows)), hide_index=True, width="stretch")
    show_caption("Weights can be named in every other question: `NETWORK?weights=file:run-…`.")


def downloads(report: StudyReport) -> None:
    """The study as files."""
    seeds = max((arm.n for arm in report.arms), default=0)
    about = f"study {report.data.name} {report.arms[0].variant.backbone} {seeds} seeds"
    tables = {table.name for table in report.tables()}
    further = {"runs": say("Runs (CSV)"), "classes": say("Classes (CSV)")}
    drawing.files(report, about, {name: label for name, label in further.items() if name in tables})


def _conditions(report: StudyReport) -> str:
    data, recipe = report.data, report.recipe
    return say(
        "%(sentence_of_data)s Images of %(size)s pixels, %(classes)s classes. %(epochs)s epochs, batch "
        "%(batch_size)s, peak rate %(lr)s. Accuracy after the last epoch, mean over n seeds; "
        "differences are paired by seed, their intervals 95 %% over all arms and all looks of the "
        "plan together; p is below 0.05 where the interval excludes 0. MACs are multiply-accumulates "
        "of one image. Trained on %(device)s, torch %(torch)s.",
        sentence_of_data=translated(data.sentence),
        size=data.size,
        classes=len(data.classes),
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        lr=f"{recipe.lr:g}",
        device=report.device,
        torch=report.torch,
    )
