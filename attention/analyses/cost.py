"""What do these networks cost, and how much of it is the attention?"""

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.counting.conventions import rules
from attention.counting.cost import CONVENTION, count
from attention.reports.cost import CostReport, CostRequest


@analyses.register("cost")
def cost(request: CostRequest, lab: AnyLab) -> CostReport:
    """What do these networks cost, and how much of it is the attention?"""
    bills = (count(variant, request.input_size, request.layers) for variant in request.variants)
    return CostReport(variants=tuple(bills), convention=CONVENTION, conventions=rules())
