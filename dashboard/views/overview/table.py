"""The answer table: gain with its interval on one axis, verdict, prices, and where to go on; cards on a phone."""

from collections.abc import Mapping
from html import escape

from attention.reports.overview import OverviewReport, OverviewRow
from attention.spec import GateKind
from dashboard.drawing import theme, verdicts, words
from dashboard.drawing.words import GATES, human
from dashboard.language import listed, marked, say
from dashboard.widgets.markup import href

ABOUT = {
    "none": marked("the plain network"),
    "se": marked("squeeze and excitation"),
    "eca": marked("efficient channel attention"),
    "cbam": marked("channel, then place"),
    "coord": marked("by row and by column"),
    "sk": marked("choice of kernel size"),
    "danet": marked("every place to every place"),
    "gc": marked("global context"),
}
"""Well-known modules in four words."""
HEADS = (
    marked("module"),
    marked("gain over none, points"),
    "",
    marked("verdict"),
    marked("parameters"),
    marked("MACs"),
    marked("time"),
    marked("gates"),
    "",
)
"""Of the columns."""


def html(report: OverviewReport, gates: Mapping[str, tuple[GateKind, ...]], study: str = "") -> str:
    """The table, in which each number leads to where it comes from.

    Args:
        gates: module -> kinds of its gates.
        study: address of the study that is the evidence; empty for published results.
    """
    reach = scale(report)
    head = "".join(f'<th scope="col">{escape(say(name)) if name else ""}</th>' for name in HEADS)
    body = "".join(_row(row, report, reach, gates.get(row.module, ()), study) for row in report.rows)
    return f'<table class="lab-answers"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def scale(report: OverviewReport) -> float:
    """Points that the axis of gains reaches to either side: all intervals, and at least twice the margin."""
    ends = [abs(end) for row in report.rows if row.interval for end in (row.interval.low, row.interval.high)]
    ends += [abs(row.gain) for row in report.rows if row.gain is not None]
    return 1.1 * max([*ends, 2 * (report.margin or 0.25)])


def _row(row: OverviewRow, report: OverviewReport, reach: float, kinds: tuple[GateKind, ...], study: str) -> str:
    price = href("price", backbone=row.network.partition("/")[0].partition("(")[0], attention=row.module)
    if row.module == theme.PLAIN or "/" not in row.network:
        price = ""
    about = say(ABOUT[row.module]) if row.module in ABOUT else ""
    title = row.title if row.state == "one run" else about
    name = escape(called(row, report))
    cells = (
        f'<th scope="row"><span style="color:{theme.hue(row.module)}" aria-hidden="true">'
        f"{theme.sign(row.module)}</span> "
        f'<a href="{href("module", name=row.module)}">{name}</a><small>{escape(title)}</small></th>',
        _axis_cell(row, report, reach),
        f"<td>{_linked(_gain(row, report), study)}</td>",
        f"<td>{_linked(_verdict(row, report), study if row.verdict else '')}</td>",
        f'<td data-name="{escape(say("parameters"))}">{_linked(_added(row.added_parameters), price)}</td>',
        f'<td data-name="{escape(say("MACs"))}">{_linked(_added(row.added_macs), price)}</td>',
        f'<td data-name="{escape(say("time"))}">{_time(row)}</td>',
        f"<td>{escape(listed(dict.fromkeys(say(GATES[kind]) for kind in kinds)))}</td>",
        f"<td>{_onward(row)}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def called(row: OverviewRow, report: OverviewReport) -> str:
    """What a row is called: its module, with options, place and backbone where these are not the usual ones."""
    if "/" not in row.network:
        return theme.called(row.module)
    host, usual = (one.network.partition("/")[0] for one in (row, report.rows[0]))
    return words.network_label(row.network) if host != usual else words.labels([row.network])[row.network]


def _linked(html: str, address: str) -> str:
    return f'<a href="{address}">{html}</a>' if html and address else html


def _axis_cell(row: OverviewRow, report: OverviewReport, reach: float) -> str:
    if row.gain is None:
        return '<td class="lab-empty"></td>'
    return f'<td class="lab-axis">{_axis(row, report, reach)}</td>'


def _axis(row: OverviewRow, report: OverviewReport, reach: float) -> str:
    """Interval and estimate on the axis that all rows share, with the band of the margin."""

    def at(points: float) -> float:
        return 50 + 50 * max(-1.0, min(1.0, points / reach))

    band = ""
    if report.margin is not None:
        band = f'<i class="lab-band" style="left:{at(-report.margin):.2f}%;right:{100 - at(report.margin):.2f}%"></i>'
    marks, hue = "", theme.hue(row.module)
    if row.interval is not None:
        left, right = at(row.interval.low), at(row.interval.high)
        marks += f'<i class="lab-bar" style="left:{left:.2f}%;right:{100 - right:.2f}%;background:{hue}"></i>'
    if row.gain is not None and row.state != "baseline":
        pale = ";opacity:.45" if not report.ranked else ""
        marks += f'<i class="lab-dot" style="left:{at(row.gain):.2f}%;background:{hue}{pale}"></i>'
    return f'<div aria-hidden="true">{band}<i class="lab-zero"></i>{marks}</div>'


def _gain(row: OverviewRow, report: OverviewReport) -> str:
    if row.gain is None or row.state == "baseline":
        return ""
    grey = "" if report.ranked else ' class="lab-grey"'
    spread = f"<small>{verdicts.interval(row.interval, report.margin)}</small>" if row.interval else ""
    return f"<b{grey}>{verdicts.points(row.gain)}</b>{spread}"


def _verdict(row: OverviewRow, report: OverviewReport) -> str:
    if row.state == "baseline":
        return escape(say("baseline"))
    if row.state == "no evidence":
        return f"<span>{escape(say('no study yet') if row.look else say('not trained yet'))}</span>"
    if row.state == "one run":
        return escape(say("one run: not decided") if report.ranked else say("not one recipe"))
    return escape(verdicts.word(row.verdict.kind)) if row.verdict else ""


def _added(amount: int | None) -> str:
    if amount is None:
        return escape(say("does not fit"))
    return "0" if amount == 0 else f"+{amount:,}" if abs(amount) < 100_000 else f"+{human(amount)}"


def _time(row: OverviewRow) -> str:
    """The ratio of its time with its interval, leading to the report; what is not measured leads to where it can be."""
    if row.time is None:
        place = href("measured", variant=row.network) if "/" in row.network and row.module != theme.PLAIN else ""
        return _linked(f"<span>{escape(say('not measured'))}</span>", place)
    ratio = row.time.ratio
    spread = f"<small>{ratio.low:.2f} … {ratio.high:.2f}</small>"
    return _linked(f"×{ratio.estimate:.2f}{spread}", href("measured", report=row.time.report))


def _onward(row: OverviewRow) -> str:
    ways = [(href("look", variant=row.look), say("Look at it"))] if row.look else []
    if row.state == "no evidence":
        ways.append((href("study", arm=row.network), say("Train it")))
    return " · ".join(f'<a href="{address}">{escape(word)}</a>' for address, word in ways)


def sentence(report: OverviewReport) -> str:
    """What the evidence shows, in one sentence."""
    by_kind: dict[str, list[str]] = {}
    for row in report.rows:
        if row.verdict is not None:
            by_kind.setdefault(row.verdict.kind, []).append(called(row, report))
    if not report.ranked:
        return say("Not one recipe: these differences may be the training and not the module, so they are not ranked.")
    if not by_kind:
        return say("One run each: how much another seed would change is not known, so nothing is decided.")
    parts = []
    for kind, text in (
        ("better", say("shown to help: %(names)s")),
        ("worse", say("shown to hurt: %(names)s")),
        ("equivalent", say("no difference larger than the margin: %(names)s")),
        ("undecided", say("not decided: %(names)s")),
    ):
        if kind in by_kind:
            parts.append(text % {"names": listed(by_kind[kind])})
    if "better" not in by_kind:
        parts.insert(0, say("No module is shown to help"))
    return say("; ").join(parts) + say(".")
