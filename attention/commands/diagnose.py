"""Say why a network's attention does not help: gates that do not matter, are constant, saturated or misplaced.

attention-lab diagnose eca --data pets
"""

from attention.commands.analysis_verb import AnalysisVerb
from attention.reports.diagnose import DiagnoseRequest

verb = AnalysisVerb(DiagnoseRequest)
add_arguments, run = verb.add_arguments, verb.run
