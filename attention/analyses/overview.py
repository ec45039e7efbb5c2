"""Does attention pay? What does each module gain on the same network, and what does it cost?"""

from collections.abc import Iterable, Iterator, Mapping

from attention import shipped_reports
from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import resolve
from attention.counting.cost import count
from attention.counting.published import GROUPS, Group
from attention.errors import AttentionError, InvalidRequest, did_you_mean
from attention.measuring.confounds import different_places
from attention.reports.cost import VariantCost
from attention.reports.latency import LatencyRequest
from attention.reports.overview import SHIPPED, MeasuredTime, OverviewReport, OverviewRequest, OverviewRow
from attention.reports.study import Arm, StudyReport, StudyRequest
from attention.spec import Variant
from attention.weights.load import bare, shipped

PLAIN = "none"
NOT_SHOWN = ("withheld", "nothing learned")
"""Verdicts that name a reason instead of a number."""
Times = Mapping[Variant, MeasuredTime]
"""Network, reduced to what its time depends on -> that time."""


@analyses.register("overview")
def overview(request: OverviewRequest, lab: AnyLab) -> OverviewReport:
    """Does attention pay? What does each module gain on the same network, and what does it cost?"""
    studies, groups = _studies(), {group.key: group for group in GROUPS}
    if request.study is not None:
        report = _of_study(request.study, request.modules)
    elif request.evidence in studies:
        report = _of_study(studies[request.evidence], request.modules)
    elif request.evidence in groups:
        report = _of_group(groups[request.evidence], request.modules)
    else:
        keys = [*studies, *groups]
        raise InvalidRequest(
            f"There is no evidence {request.evidence!r}.{did_you_mean(request.evidence, keys)} There is: "
            f"{', '.join(keys)}."
        )
    named = {key: _named(study) for key, study in studies.items()} | {key: group.title for key, group in groups.items()}
    return report.model_copy(update={"bodies": named})


def _studies() -> dict[str, StudyReport]:
    """The studies that come along: the first as `SHIPPED`, others by their ids."""
    found = enumerate(shipped_reports.of(StudyRequest))
    return {stored.id if number else SHIPPED: study for number, (stored, study) in found}


def _named(study: StudyReport) -> str:
    baseline = next(arm for arm in study.arms if arm.name == study.baseline)
    seeds = max((arm.n for arm in study.arms), default=0)
    return f"{baseline.variant.backbone}, {study.data.name}, {len(study.arms)} networks, n = {seeds}"


def _of_study(study: StudyReport, modules: Iterable[str]) -> OverviewReport:
    baseline = next(arm for arm in study.arms if arm.name == study.baseline)
    times = _times(baseline.variant, study.data.size)
    rows = [_arm(arm, study, baseline, times) for arm in study.arms]
    seeds = max((arm.n for arm in study.arms), default=0)
    recipe = study.recipe
    return OverviewReport(
        evidence=_named(study),
        ranked=True,
        warning=" ".join(_warnings(study)) or None,
        conditions=f"{study.data.name}, {study.data.size} x {study.data.size} pixels, {recipe.epochs} epochs, batch "
        f"{recipe.batch_size}, {seeds} paired seeds, {study.device}",
        margin=study.margin,
        rows=_ordered(rows, _missing(baseline.variant, study.data.size, modules, rows, times)),
    )


def _warnings(study: StudyReport) -> Iterator[str]:
    """What speaks against reading the rows of a study as a ranking of modules."""
    if not study.complete:
        yield "This study is not complete: its numbers may change."
    yield from (arm.verdict.sentence for arm in study.arms if arm.verdict and arm.verdict.kind in NOT_SHOWN)
    yield from filter(None, [different_places(arm.variant for arm in study.arms)])


def _arm(arm: Arm, study: StudyReport, baseline: Arm, times: Times) -> OverviewRow:
    plain, verdict = arm.name == baseline.name, arm.verdict
    interval = verdict.difference if verdict else None
    shown = arm.differences if verdict is None or verdict.kind not in NOT_SHOWN else ()
    mean = sum(shown) / len(shown) if shown else None
    weights = next((run.weights for run in study.runs if run.arm == arm.name and run.weights), None)
    look = resolve(arm.variant.model_copy(update={"weights": weights, "seed": 0})).name if weights else None
    bill = _bill(arm.variant, study.data.size)
    return OverviewRow(
        module=arm.variant.attention or PLAIN,
        title=arm.name,
        network=arm.name,
        state="baseline" if plain else "measured",
        accuracy=arm.accuracy.estimate if arm.accuracy else None,
        gain=0.0 if plain else interval.estimate if interval else mean,
        interval=interval,
        verdict=verdict,
        runs=arm.n,
        added_parameters=arm.extra_parameters,
        added_macs=arm.extra_macs,
        added_bytes=bill.delta.bytes if bill else None,
        time=_time(arm.variant, times),
        look=look,
    )


def _of_group(group: Group, modules: Iterable[str]) -> OverviewReport:
    plain = next((result for result in group.results if result.attention == PLAIN), None)
    base = next((Variant.parse(result.variant) for result in group.results if result.variant), None)
    times = _times(base.plain, group.input_size) if base else {}
    rows = []
    for result in group.results:
        variant = Variant.parse(result.variant) if result.variant else None
        bill = _bill(variant, group.input_size) if variant else None
        rows.append(
            OverviewRow(
                module=(variant.attention or PLAIN) if variant else result.attention,
                title=result.name,
                network=variant.name if variant else result.name,
                state="baseline" if result is plain else "one run",
                accuracy=result.score,
                gain=round(result.score - plain.score, 2) if plain else None,
                interval=None,
                verdict=None,
                runs=1,
                **_price(bill),
                time=_time(variant, times),
                look=None,
            )
        )
    missing = _missing(base, group.input_size, modules, rows, times) if base else []
    return OverviewReport(
        evidence=group.title,
        ranked=group.same_recipe,
        warning=group.warning,
        conditions=f"{group.source}, {group.metric}. {group.recipe}",
        margin=None,
        rows=_ordered(rows, missing),
    )


def _missing(
    base: Variant, size: int, modules: Iterable[str], rows: Iterable[OverviewRow], times: Times
) -> list[OverviewRow]:
    """Modules that the evidence lacks, with their price on its backbone."""
    present, missing = {row.module for row in rows}, []
    for module in dict.fromkeys(modules):
        if module in present:
            continue
        variant, look = _usual(base, module)
        missing.append(
            OverviewRow(
                module=module,
                title=module,
                network=variant.name,
                state="no evidence",
                accuracy=None,
                gain=None,
                interval=None,
                verdict=None,
                runs=0,
                **_price(_bill(variant, size)),
                time=_time(variant, times),
                look=look,
            )
        )
    return missing


def _usual(base: Variant, module: str) -> tuple[Variant, str | None]:
    """The module where it usually stands on a backbone, and the short name of such a network that is trained."""
    named = Variant.parse(module)
    if (named.backbone, named.backbone_options) == (base.backbone, base.backbone_options):
        return named.model_copy(update={"weights": None}), named.name if bare(named) in shipped() else None
    return Variant(backbone=base.backbone, backbone_options=base.backbone_options, attention=module), None


def _times(baseline: Variant, size: int) -> Times:
    """Times that came along of networks beside this baseline at this input size."""
    times: dict[Variant, MeasuredTime] = {}
    for stored, report in shipped_reports.of(LatencyRequest):
        base = _timed_as(Variant.parse(report.baseline))
        if report.withheld or report.input_size != size or base is None or base != _timed_as(baseline):
            continue
        ratios = [(base, report.control), *((_timed_as(timing.variant), timing.ratio) for timing in report.timings)]
        for variant, ratio in ratios:
            if ratio is not None and variant is not None:
                times[variant] = MeasuredTime(
                    ratio=ratio,
                    device=report.device,
                    date=report.date,
                    batch=report.batch,
                    threads=report.threads,
                    report=stored.id,
                )
    return times


def _time(variant: Variant | None, times: Times) -> MeasuredTime | None:
    """The time of a network; None if it was not measured, or cannot be built."""
    known = _timed_as(variant) if variant is not None else None
    return times.get(known) if known is not None else None


def _timed_as(variant: Variant) -> Variant | None:
    """Reduce a network to what its time depends on: all but weights, seed and classes; None if it cannot be built."""
    try:
        return resolve(variant.model_copy(update={"weights": None, "seed": 0, "classes": 10}))
    except AttentionError:
        return None


def _bill(variant: Variant, size: int) -> VariantCost | None:
    """What a network costs; None if it cannot be built, as where a module does not fit its backbone."""
    try:
        return count(variant.model_copy(update={"weights": None}), size)
    except AttentionError:
        return None


def _price(bill: VariantCost | None) -> dict[str, int | None]:
    return {
        "added_parameters": bill.delta.parameters if bill else None,
        "added_macs": bill.delta.macs if bill else None,
        "added_bytes": bill.delta.bytes if bill else None,
    }


def _ordered(rows: list[OverviewRow], missing: list[OverviewRow]) -> tuple[OverviewRow, ...]:
    """The plain network, then the others by gain, then those without evidence."""
    measured = [row for row in rows if row.state != "baseline"]
    measured.sort(key=lambda row: (row.gain is None, -(row.gain or 0.0)))
    return (*(row for row in rows if row.state == "baseline"), *measured, *missing)
