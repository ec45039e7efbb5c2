"""Measure how long networks take on this machine, beside their plain twin.

attention-lab latency resnet50/se resnet50/eca --batch 8 --threads 2
"""

from attention.commands.analysis_verb import AnalysisVerb
from attention.reports.latency import LatencyRequest

verb = AnalysisVerb(LatencyRequest)
add_arguments, run = verb.add_arguments, verb.run
