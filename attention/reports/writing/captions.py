"""What differences, intervals and verdicts mean, in a caption: the definition behind every verdict of a table."""

from collections.abc import Sequence

from attention.reports.parts.evidence import Verdict


def definition(verdicts: Sequence[Verdict], unit: str, when: str = "", score: str = "", pairs: str = "paired") -> str:
    """Say what the verdicts of a table rest on: seeds, intervals, margin, and how a verdict is read off its interval.

    Args:
        when: whether the margin was set before the first run.
        score: what the differences are of, where the table does not say it.
        pairs: ``paired``, or ``unpaired`` where no seed ties the runs together.
    """
    judged = [verdict for verdict in verdicts if verdict.difference is not None]
    if not judged:
        return "No verdict yet: no arm has an interval."
    seeds = counted([verdict.n for verdict in judged])
    first = judged[0]
    if first.looks is None or first.k is None:
        return f"Differences to the baseline over {seeds} paired seeds; 95 % paired t."
    margin, inside = "no margin", ""
    if first.margin is not None:
        margin, inside = f"margin {first.margin:g} {unit}", "inside the margin no difference larger than it, else "
    both = {verdict.scope for verdict in judged} == {"seeds and images"}
    images = "new seeds and new images" if both else "new seeds on these test images"
    family = (
        f"{first.k} {'arm' if first.k == 1 else 'arms'} and {first.looks} planned "
        f"{'look' if first.looks == 1 else 'looks'}"
    )
    runs, test = ("paired seeds", "paired t") if pairs == "paired" else ("unpaired runs", "Welch's t")
    return (
        f"Differences {score}to the baseline over {seeds} {runs}; intervals are 95 % simultaneous for {family} "
        f"({test}, Bonferroni) and cover {images}; {margin}{when}. A verdict is read off its interval: {inside}above "
        "zero better, below zero worse, else not decided."
    )


def p_text(p: float | None) -> str:
    """Write a p-value for a table, with three decimals."""
    return "--" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(points: float | None) -> str:
    """Write an accuracy in percent with two decimals; ``--`` where there is none."""
    return "--" if points is None else f"{points:.2f}"


def counted(counts: Sequence[int]) -> str:
    """Say how many: ``n = 6``, or ``n = 4 to 6`` where counts differ."""
    low, high = min(counts), max(counts)
    return f"n = {low}" if low == high else f"n = {low} to {high}"
