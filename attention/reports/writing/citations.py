"""BibTeX of the attention modules that a report is about, made from the documentation in each module's own file.

A module's docstring names its paper in its second paragraph, as ``Title. Authors. Venue year. link``; a control that
has no paper says so there. The files are read, not imported, so this needs no torch.
"""

import ast
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel, Field

from attention.reports.writing.latex import escaped
from attention.spec import Plain, Variant

MODULES = Path(__file__).parents[2] / "modules"
PAPER = re.compile(
    r"(?P<title>.+?)\. (?P<authors>.+?)\. (?P<venue>[A-Z][A-Za-z ]*?) (?P<year>\d{4})\b.*?(?P<link>https?://\S+?)[.,]?(?=\s|$)"
)


class Citation(Plain):
    """A paper as BibTeX needs it."""

    title: str = Field(description="Its title.")
    authors: tuple[str, ...] = Field(description="Given and family names, in the paper's order.")
    venue: str = Field(description="Conference.")
    year: int = Field(description="Year of it.")
    link: str = Field(description="Where it can be read.")

    @property
    def key(self) -> str:
        """What a paper cites it by: the first author's family name, the year and the title's first word."""
        parts = (self.authors[0].split()[-1], str(self.year), re.split(r"[\s:]", self.title)[0])
        plain = unicodedata.normalize("NFKD", "".join(parts)).encode("ascii", "ignore").decode()
        return re.sub(r"[^a-z0-9]", "", plain.lower())

    def bibtex(self) -> str:
        """Write the paper as a BibTeX entry."""
        fields = {
            "title": f"{{{escaped(self.title)}}}",
            "author": escaped(" and ".join(self.authors)),
            "booktitle": self.venue,
            "year": str(self.year),
            "url": self.link,
        }
        lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
        return f"@inproceedings{{{self.key},\n{lines}}}\n"


@cache
def citation(module: str) -> Citation | None:
    """Look up the paper of an attention module; None for a control or a module of others."""
    file = MODULES / f"{module}.py"
    if not module.isidentifier() or not file.is_file():
        return None
    paragraphs = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").split("\n\n")
    paper = PAPER.match(" ".join("".join(paragraphs[1:2]).split()))
    if paper is None:
        return None
    authors = tuple(name.strip() for name in paper["authors"].split(","))
    return Citation(
        title=paper["title"], authors=authors, venue=paper["venue"], year=int(paper["year"]), link=paper["link"]
    )


def modules_of(part: object) -> Iterator[str]:
    """Name the attention modules of all networks in plain data, once for each network."""
    if isinstance(part, Variant):
        if part.attention is not None:
            yield part.attention
    elif isinstance(part, BaseModel):
        for name in type(part).model_fields:
            value = getattr(part, name)
            if name in ("module", "attention") and isinstance(value, str):
                yield value
            yield from modules_of(value)
    elif isinstance(part, tuple | list):
        for item in part:
            yield from modules_of(item)


def bibtex(part: object) -> str:
    """The bibliography of all attention modules in plain data; empty where none of them has a paper."""
    papers = {paper.key: paper for name in modules_of(part) if (paper := citation(name)) is not None}
    return "\n".join(papers[key].bibtex() for key in sorted(papers))
