"""Replace attention by its mean, fold it into the normalisations, and say what that changes and saves.

    attention-lab fold eca --data pets

The folded network is kept among the checkpoints of the folder.
"""

from attention.commands.analysis_verb import AnalysisVerb
from attention.reports.fold import FoldRequest

verb = AnalysisVerb(FoldRequest)
add_arguments, run = verb.add_arguments, verb.run
