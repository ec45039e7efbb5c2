"""Train these networks on the same data with the same seeds: is any of them really better?"""

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.reports.study import StudyReport, StudyRequest
from attention.training.run_study import run_study
from attention.training.study import RunStore


@analyses.register("study")
def study(request: StudyRequest, lab: AnyLab) -> StudyReport:
    """Train these networks on the same data with the same seeds: is any of them really better?"""
    return run_study(request, RunStore(lab.files.file_store, lab.device, owner=lab.files.owner), lab.progress, lab.map)
