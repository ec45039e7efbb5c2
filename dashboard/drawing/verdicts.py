"""What may be said of a difference, as sign and word: never by colour alone, and with a true minus."""

from attention.reports.parts.evidence import Interval
from dashboard.language import marked, say

KINDS: dict[str, tuple[str, str]] = {
    "better": ("▲", marked("better")),
    "worse": ("▼", marked("worse")),
    "equivalent": ("＝", marked("no difference larger than the margin")),
    "undecided": ("◌", marked("not decided")),
    "too few seeds": ("…", marked("too few seeds")),
    "nothing learned": ("∅", marked("nothing learned")),
    "withheld": ("✕", marked("withheld")),
}
"""Kind of a verdict -> its sign and its word."""


def word(kind: str) -> str:
    """A verdict as sign and word in the reader's language; an unknown kind is said as it is."""
    sign, text = KINDS.get(kind, ("", kind))
    return f"{sign} {say(text)}".strip()


def points(value: float) -> str:
    """A difference in points with its sign and a true minus: −0.55."""
    return f"{value:+.2f}".replace("-", "−")


def interval(difference: Interval, margin: float | None = None) -> str:
    """An interval in points, its ends never printed as the zero or the margin that they are not: −0.89 … −0.20."""
    return " … ".join(difference.ends(margin)).replace("-", "−")
