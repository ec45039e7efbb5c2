"""Compare what networks see in photos, and what their attention does.

    attention-lab compare cat.jpg none se eca
    attention-lab compare cat.jpg dog.jpg resnet20/none resnet20/eca --table gates --format csv

Photos are files, or samples such as cat_wool.jpg; a bare module name is a network that comes trained.
"""

from attention.commands.analysis_verb import AnalysisVerb
from attention.reports.compare import CompareRequest

verb = AnalysisVerb(CompareRequest)
add_arguments, run = verb.add_arguments, verb.run
