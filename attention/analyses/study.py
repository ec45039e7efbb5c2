"""Train these networks on the same data with the same seeds: is any of them really better?"""

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.reports.study import StudyReport, StudyRequest
from attention.training.run_study import conduct
from attention.training.study import Workshop


@analyses.register("study")
def study(request: StudyRequest, lab: AnyLab) -> StudyReport:
    """Train these networks on the same data with the same seeds: is any of them really better?"""
    return conduct(request, Workshop(lab.files.depot, lab.device), lab.progress, lab.map)
