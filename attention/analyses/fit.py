"""What would these modules cost on this backbone, and which of them do not fit?"""

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.counting.conventions import rules
from attention.counting.cost import CONVENTION, count
from attention.errors import AttentionError
from attention.modules import modules
from attention.reports.cost import CostReport
from attention.reports.modules import FitReport, FitRequest, Refusal
from attention.spec import Variant


@analyses.register("fit")
def fit(request: FitRequest, lab: AnyLab) -> FitReport:
    """What would these modules cost on this backbone, and which of them do not fit?"""
    plain = Variant(backbone=request.backbone, backbone_options=request.backbone_options)
    bills, refused = [count(plain, request.input_size)], []  # a backbone that is not there is refused as a whole
    names = tuple(modules) if request.modules is None else tuple(dict.fromkeys(request.modules))
    for number, name in enumerate(names):
        lab.progress(number, len(names), name)
        variant = plain.model_copy(update={"attention": name, "placement": request.placement})
        try:
            bills.append(count(variant, request.input_size))
        except AttentionError as error:
            refused.append(Refusal(name=variant.name, attention=name, why=str(error)))
    costs = CostReport(variants=tuple(bills), convention=CONVENTION, conventions=rules())
    return FitReport(costs=costs, refused=tuple(refused))
