"""Measure what a network loses on many images without each gate, each stage, or all of its attention.

    attention-lab sweep eca --data pets --kinds mean scalar
    attention-lab sweep resnet20/se?weights=file:mine --data pets --scopes all stage --format csv -o effects.csv

Data sets are those of the folder: attention-lab data, or --folder.
"""

from attention.commands.analysis_verb import AnalysisVerb
from attention.reports.sweep import SweepRequest

verb = AnalysisVerb(SweepRequest)
add_arguments, run = verb.add_arguments, verb.run
