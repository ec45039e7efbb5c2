"""How wide must the plain network be to cost as much as one with attention?"""

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import resolve
from attention.counting.cost import count
from attention.counting.match import widened
from attention.reports.match import Match, MatchReport, MatchRequest, Size
from attention.spec import Variant


@analyses.register("match")
def match(request: MatchRequest, lab: AnyLab) -> MatchReport:
    """How wide must the plain network be to cost as much as one with attention?"""
    matches = []
    for number, variant in enumerate(request.variants):
        lab.progress(number, len(request.variants), variant.name)
        full, wide = _size(variant), _size(widened(variant, request.by))
        gap = getattr(wide, request.by) - getattr(full, request.by)
        matches.append(Match(variant=full, plain=_size(full.variant.plain), widened=wide, gap=gap))
    return MatchReport(by=request.by, matches=tuple(matches))


def _size(variant: Variant) -> Size:
    total = count(variant).total
    full = resolve(variant)
    return Size(name=full.name, variant=full, parameters=total.parameters, macs=total.macs)
