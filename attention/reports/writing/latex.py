"""Tables for papers: booktabs, with the conditions in the caption."""

import re
from collections.abc import Iterable, Sequence

SYMBOLS = {
    "±": r"$\pm$",
    "<": "$<$",
    ">": "$>$",
    "×": r"$\times$",
    "−": "$-$",
    "Δ": r"$\Delta$",
    "–": "--",
    "…": r"\dots{}",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "≈": r"$\approx$",
    "→": r"$\to$",
    "·": r"$\cdot$",
    "²": "$^2$",
    "³": "$^3$",
    "µ": r"$\mu$",
    "°": r"$^\circ$",
    "—": "---",
    "“": "``",
    "”": "''",
    "’": "'",
}
SPECIAL = {letter: "\\" + letter for letter in "&%_#${}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\n": " ",
    "\r": "",
    "\t": " ",
}


def table(caption: str, columns: str, head: Sequence[str], rows: Iterable[Sequence[str]], label: str) -> str:
    """Write a table in the style of the package booktabs.

    Args:
        columns: their alignment, such as ``lrr``.
        head, rows: cells as LaTeX (`cell`); the caption is text.
        label: what the paper refers to.
    """
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{cell(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(head) + r" \\",
        r"\midrule",
        *(" & ".join(cells) + r" \\" for cells in rows),
    ]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def escaped(text: str) -> str:
    """Text as LaTeX shows it."""
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def cell(text: str) -> str:
    """Text of a cell as LaTeX: escaped, its symbols and minus signs as mathematics sets them."""
    shown = re.sub(r"(?<![\w$-])-(?=\d)", "−", escaped(text))
    written = "".join(SYMBOLS.get(letter, letter) for letter in shown)
    return (
        f"{{[}}{written[1:]}" if written.startswith("[") else written
    )  # after the end of a row a bracket would be an option
