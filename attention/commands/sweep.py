"""Measure what a network loses on many images without each gate, each stage, or all of its attention.

    attention-lab sweep eca --data val/ --kinds mean scalar
    attention-lab sweep resnet20/se?weights=file:mine --data pets --scopes all stage --format csv -o effects.csv

A data set is a folder or zip by its path, or one of the data folder by its name (attention-lab data).
"""

from attention.commands.analysis_verb import AnalysisVerb
from attention.reports.sweep import SweepRequest

verb = AnalysisVerb(SweepRequest)
add_arguments, run = verb.add_arguments, verb.run
