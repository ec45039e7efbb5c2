"""Tables for papers: booktabs, with the conditions in the caption."""

import re
from collections.abc import Sequence

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


A_PAGE = 40
"""Rows of a table that fit on one page of a paper."""


def table(caption: str, columns: str, head: Sequence[str], rows: Sequence[Sequence[str]], label: str) -> str:
    """Write a LaTeX table in the style of booktabs; one longer than a page goes on over pages, as a longtable.

    Args:
        columns: their alignment, such as ``lrr``.
        head, rows: cells as LaTeX (`cell`); the caption is text.
        label: what the paper refers to.
    """
    title, name = rf"\caption{{{cell(caption)}}}", rf"\label{{{label}}}"
    top = [r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    body = [*(" & ".join(cells) + r" \\" for cells in rows), r"\bottomrule"]
    if len(rows) > A_PAGE:
        start = [
            r"% needs \usepackage{booktabs,longtable}",
            rf"\begin{{longtable}}{{{columns}}}",
            title + name + r" \\",
        ]
        first = [*start, *top, r"\endfirsthead"]  # the caption once, the headings on each page
        return "\n".join([*first, *top, r"\endhead", *body, r"\end{longtable}", ""])
    start = [r"% needs \usepackage{booktabs}", r"\begin{table}", r"\centering", title, name]
    return "\n".join([*start, rf"\begin{{tabular}}{{{columns}}}", *top, *body, r"\end{tabular}", r"\end{table}", ""])


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
