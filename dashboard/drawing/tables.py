"""Report -> table or file: pure functions. A table to be read has few digits; a file has all of them.

The Chinese of what columns are called, and of words in their cells, stands in ``locale/*/*/service.po``.
"""

import numpy as np
import pandas as pd

from attention.client import gate_values
from attention.reports.compare import Comparison
from attention.reports.cost import CostReport
from attention.reports.court import CourtReport
from attention.reports.modules import FitReport
from dashboard.drawing.words import about, called, gate_labels, human, unit
from dashboard.language import say
from dashboard.service_sentences import translated


def statistics(report: Comparison, image: str) -> pd.DataFrame:
    """Every gate of every variant in numbers."""
    label = called(report)
    return pd.DataFrame(
        [
            {
                "variant": label[prediction.variant],
                "layer": gate_labels(prediction.gates)[gate.path],
                "gate": gate.path,
                "kind": gate.kind,
                "entries": int(np.prod(gate.shape)),
                "mean": gate.mean,
                "std": gate.std,
                "min": gate.min,
                "max": gate.max,
                "below 0.1": gate.share_low,
                "above 0.9": gate.share_high,
            }
            for prediction in about(report, image)
            for gate in prediction.gates
        ]
    )


def statistics_text(report: Comparison, image: str) -> pd.DataFrame:
    """The same with a sensible number of digits, to be read."""
    table = statistics(report, image)
    for name in ("mean", "std", "min", "max"):
        table[name] = [f"{value:.4f}" for value in table[name]]
    for name in ("below 0.1", "above 0.9"):
        table[name] = [f"{value:.1%}" for value in table[name]]
    return table.drop(columns="gate")


def weights_csv(report: Comparison) -> bytes:
    """All gate weights of all photos and variants, one row each."""
    parts = [
        pd.DataFrame(
            {
                "image": prediction.image,
                "variant": prediction.variant,
                "gate": gate,
                "entry": np.arange(len(row)),
                "weight": row.round(6),
            }
        )
        for prediction in report.predictions
        for gate, row in gate_values(prediction).items()
    ]
    table = pd.concat(parts) if parts else pd.DataFrame(columns=["image", "variant", "gate", "entry", "weight"])
    return bytes(table.to_csv(index=False), "utf-8")


def costs_text(report: CostReport, convention: str) -> pd.DataFrame:
    """The bills to be read, in one convention: counts exact and in human units, multiples of 2^20 and 2^30 rounded."""
    label, rows = called(report), []
    for bill in report.variants:
        row = {"variant": label[bill.name]}
        counts = [count for count in bill.conventions if count.name == convention]
        for part in ("total", "attention", "delta"):
            for count in counts:
                before = {"total": "", "attention": "attention ", "delta": "Δ "}[part]
                name = count.unit.removeprefix(unit(count.unit)).strip()
                row[before + name] = _amount(getattr(count, part), count.unit, "+" if part == "delta" else "")
        row["Δ traffic"] = human(bill.delta.bytes, "B")
        rows.append(row)
    return pd.DataFrame(rows).set_index("variant")


def _amount(number: float, name: str, sign: str = "") -> str:
    sign = sign if number else ""
    if unit(name):
        return f"{number:{sign}.5g} {unit(name)}"
    return f"{round(number):{sign},}" + (f"  ({human(number)})" if abs(number) >= 1000 else "")


def refusals(report: FitReport) -> pd.DataFrame:
    """Modules that do not fit, each with the sentence why."""
    return pd.DataFrame(
        [{"module": refusal.attention, "why it does not fit": refusal.why} for refusal in report.refused]
    ).set_index("module")


def _signed(number: int) -> str:
    return ("+" if number > 0 else "") + human(number)


def court(report: CourtReport) -> pd.DataFrame:
    """What each counter reports for a network, beside the ledger, and why it differs."""
    ledger = {
        "counter": say("this ledger"),
        "reports": say("%(macs)s MACs", macs=f"{report.macs:,}"),
        "of it attention": f"{report.attention_macs:,}",
        "beyond the ledger": "",
        "because": say("Multiply-accumulates of convolutions and matrix products, by formula and shape."),
    }
    rows = [
        {
            "counter": witness.counter,
            "reports": f"{witness.total:,} {witness.unit.partition(',')[0]}",
            "of it attention": f"{witness.attention:,}",
            "beyond the ledger": f"{witness.difference:+,}" if witness.difference else "0",
            "because": "  \n".join(f"{_signed(why.amount)}: {translated(why.text)}" for why in witness.reasons)
            or say("It agrees."),
        }
        for witness in report.witnesses
    ]
    return pd.DataFrame([ledger, *rows]).set_index("counter")
