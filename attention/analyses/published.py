"""What was published for these modules, and what do they cost?"""

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.counting.cost import CONVENTION, count
from attention.counting.published import GROUPS, Group, Result
from attention.errors import InvalidRequest, did_you_mean
from attention.reports.modules import PublishedGroup, PublishedReport, PublishedRequest, PublishedResult
from attention.spec import Variant


@analyses.register("published")
def published(request: PublishedRequest, lab: AnyLab) -> PublishedReport:
    """What was published for these modules, and what do they cost?"""
    by_key = {group.key: group for group in GROUPS}
    for key in request.groups:
        if key not in by_key:
            raise InvalidRequest(f"There is no group {key!r} of published results.{did_you_mean(key, by_key)}")
    chosen = [by_key[key] for key in dict.fromkeys(request.groups)] if request.groups else GROUPS
    groups = []
    for number, group in enumerate(chosen):
        lab.progress(number, len(chosen), group.title)
        groups.append(_group(group))
    return PublishedReport(
        groups=tuple(groups), titles={group.key: group.title for group in GROUPS}, convention=CONVENTION
    )


def _group(group: Group) -> PublishedGroup:
    return PublishedGroup(
        key=group.key,
        title=group.title,
        source=group.source,
        table=group.table,
        link=group.link,
        metric=group.metric,
        recipe=group.recipe,
        same_recipe=group.same_recipe,
        warning=group.warning,
        input_size=group.input_size,
        results=tuple(_result(result, group) for result in group.results),
    )


def _result(result: Result, group: Group) -> PublishedResult:
    variant = Variant.parse(result.variant) if result.variant else None
    bill = count(variant, group.input_size) if variant else None
    return PublishedResult(
        name=result.name,
        attention=result.attention,
        score=result.score,
        cell=f"row {result.cell or result.name!r}, column {group.column!r}",
        conditions=result.conditions,
        variant=variant,
        parameters=bill.total.parameters if bill else None,
        macs=bill.total.macs if bill else None,
        added_parameters=bill.delta.parameters if bill else None,
        added_macs=bill.delta.macs if bill else None,
    )
