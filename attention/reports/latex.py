"""Tables for papers: booktabs, with the conditions in the caption."""

from collections.abc import Iterable, Sequence


def table(caption: str, columns: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in the style of the package booktabs.

    Args:
        columns: their alignment, such as ``lrr``.
        head, rows: cells as LaTeX, so names in them are escaped already; the caption is text.
    """
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in rows),
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escaped(text: str) -> str:
    """Text as LaTeX shows it."""
    special = {letter: "\\" + letter for letter in "&%_#${}"} | {"~": r"\textasciitilde{}"}
    return "".join(special.get(letter, letter) for letter in text.replace("\\", "/"))
