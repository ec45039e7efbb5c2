"""Reports that are sent and cited: one HTML file with nothing to fetch, BibTeX of every module, LaTeX that compiles."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import pytest

from attention import shipped_reports
from attention.analyses import analyses, request_type
from attention.reports.compare import CompareRequest
from attention.reports.maps import ChannelMap, MapsReport
from attention.reports.study import StudyRequest
from attention.reports.writing.citations import MODULES, bibtex, citation
from attention.reports.writing.document import document, in_form
from attention.reports.writing.latex import A_PAGE
from attention.reports.writing.tables import Report, Table, named
from attention.spec import Variant

STUDY = next(study for stored, study in shipped_reports.of(StudyRequest) if stored.id == "shipped-study-cifar10")
ALONG = [
    cast(Report, request_type(analyses[stored.analysis]).report.model_validate(stored.report))
    for stored in shipped_reports.all_reports().values()
]


class Tags(HTMLParser):
    """Attributes that name something to fetch, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "srcset", "data") or tag == "link"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "tags are closed in their order"


def test_every_module_has_a_paper_or_says_that_it_has_none() -> None:
    for file in MODULES.glob("*.py"):
        if file.stem != "__init__" and citation(file.stem) is None:
            assert "No paper" in file.read_text(), f"{file.name}: 'Title. Authors. Venue year. link', or 'No paper'"
    paper = citation("eca")
    assert paper is not None and paper.key == "wang2020ecanet" and paper.venue == "CVPR" and paper.year == 2020
    assert paper.authors[:2] == ("Qilong Wang", "Banggu Wu") and paper.link == "https://arxiv.org/abs/1910.03151"
    paper = citation("se")
    assert paper is not None and paper.authors == ("Jie Hu", "Li Shen", "Gang Sun")  # as in the proceedings
    assert not any("(" in paper.title for file in MODULES.glob("*.py") if (paper := citation(file.stem)))
    assert citation("../spec") is None and citation("identity") is None


def test_bibtex_has_each_paper_of_the_networks_once() -> None:
    asked = CompareRequest(images=("x",), variants=tuple(map(Variant.parse, ("none", "se", "eca", "ceca", "random"))))
    entries = re.findall(r"^@inproceedings\{(\w+),$", bibtex(asked), re.M)
    assert entries == ["hu2018squeezeandexcitation", "wang2020ecanet"]
    assert set(re.findall(r"^@inproceedings\{(\w+),$", in_form(STUDY, "bib"), re.M)) == {*entries, "hou2021coordinate"}


def test_a_page_holds_all_tables_and_fetches_nothing() -> None:
    text = document(STUDY, "https://lab.example/study?job=<1>")
    tags = Tags(text)
    assert not tags.open and not tags.fetched and "<script" not in text
    for table in STUDY.tables():
        assert table.html(500) in text
    for sentence in STUDY.caveats:
        assert sentence.partition("`")[0].partition("<")[0] in text, "what to know before reading it"
    assert "job=&lt;1&gt;" in text and "@inproceedings{wang2020ecanet" in text


def test_a_picture_of_a_report_is_shown_and_not_printed() -> None:
    drawn = ChannelMap(channel=3, weight=0.5, low=0.0, high=1.0, mean=0.25, png_base64="iVBORw0KGgo=")
    report = MapsReport(network="n", image="i", gate="g", kind="channel", channels=16, height=1, width=1, maps=(drawn,))
    assert Tags(document(report)).fetched == ["data:image/png;base64,iVBORw0KGgo="]
    assert "<td>iVBOR" not in document(report)


NASTY = (
    r"a_b & 50% #1 {x} ~^ \alpha",
    "[0.1, −0.2]",
    "-1.5 ± 0.2",
    "x < y > z × 2",
    "“so”",
    "≤ 3 ≥ 2 ≈ 1",
    "first\n\nsecond",
)


def test_what_is_special_in_latex_is_escaped() -> None:
    latex = Table(name="t", caption=NASTY[0], columns=named("a"), rows=tuple((text,) for text in NASTY)).latex()
    assert r"a\_b \& 50\% \#1 \{x\} \textasciitilde{}\textasciicircum{} \textbackslash{}alpha" in latex
    assert "\n{[}0.1, $-$0.2]" in latex and r"$-$1.5 $\pm$ 0.2" in latex and "first  second" in latex
    assert latex.startswith("% needs \\usepackage{booktabs}\n")


def test_what_is_printed_first_of_a_report_fits_on_a_page() -> None:
    """A sweep was printed with the 25 columns of its file, network and all."""
    widths = [len(report.table().shown.head) for report in ALONG]
    assert len(widths) > 6 and max(widths) <= 9, widths


@pytest.mark.full
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs a LaTeX (texlive-latex-recommended)")
def test_the_tables_compile(tmp_path: Path) -> None:
    odd = Table(name="t", caption=NASTY[0], columns=named(*NASTY[:2]), rows=tuple((text, text) for text in NASTY))
    along = [table for report in ALONG for table in report.tables()]
    assert any(len(table.rows) > A_PAGE for table in along)
    body = "\n".join([odd.latex(), *(table.latex() for table in along if len(table.rows) < 200)])
    text = (
        "\\documentclass{article}\\usepackage{booktabs,longtable}\\begin{document}\\listoftables\n"
        + body
        + "\n\\end{document}\n"
    )
    (tmp_path / "paper.tex").write_text(text, "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]
    listed = (tmp_path / "paper.lot").read_text("utf-8").count(r"\contentsline")
    assert listed == body.count(r"\caption{"), "a long table has one caption, and not one on each page"
    assert (tmp_path / "paper.pdf").stat().st_size > 1000
