"""Results that were published for attention modules, each with its paper, table, cell and conditions.

Two numbers compare only where recipe, data, resolution and the rest of the network are the same. So results stand in
groups, and a group says whether it is of one recipe. Costs are not copied from the sources, which count in several
ways: they are counted here, from the variant, where the network can be built here.

What is missing is missing for want of a comparable pair that could be looked up: SRM, SimAM and triplet attention give
their baselines in tables of their papers only, not in their repositories. SRM's pair is of a reimplementation.
"""

from attention.counting.published.ablations import ABLATIONS
from attention.counting.published.comparisons import COMPARISONS
from attention.counting.published.detection import DETECTION
from attention.counting.published.records import TOP1, Group, Result

GROUPS: tuple[Group, ...] = (*COMPARISONS, *ABLATIONS, *DETECTION)
"""Every group. The figures are the sources' own; ECA-Net's 77.48 is the paper's, and its repository has said 77.42."""

__all__ = ["GROUPS", "TOP1", "Group", "Result"]
