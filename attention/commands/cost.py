"""Count what networks cost, and how much of it is their attention.

attention-lab cost resnet50/none resnet50/se resnet50/eca --format latex
attention-lab cost resnet50/eca --layers --table layers
"""

from attention.commands.analysis_verb import AnalysisVerb
from attention.reports.cost import CostRequest

verb = AnalysisVerb(CostRequest)
add_arguments, run = verb.add_arguments, verb.run
