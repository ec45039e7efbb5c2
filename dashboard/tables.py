"""Report -> table or file: pure functions. A table to be read has few digits; a file has all of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from attention.reports import Comparison, Cost, CostReport
from dashboard.client import gate_values
from dashboard.words import about, called, gate_labels, human


def first_classes(report: Comparison, titles: Mapping[str, str]) -> pd.DataFrame:
    """Photo x variant: the most probable class and its probability."""
    label = called(report)
    rows: dict[str, dict[str, str]] = {title: {} for title in titles.values()}
    for prediction in report.predictions:
        best = prediction.top[0]
        rows[titles[prediction.image]][label[prediction.variant]] = (
            f"{best.label or f'class {best.index}'} · {best.probability:.0%}"
        )
    return pd.DataFrame.from_dict(rows, orient="index")


def statistics(report: Comparison, image: str) -> pd.DataFrame:
    """Every gate of every variant in numbers."""
    label = called(report)
    return pd.DataFrame(
        [
            {
                "variant": label[prediction.variant],
                "layer": gate_labels(prediction.gates)[gate.gate],
                "gate": gate.gate,
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


def statistics_csv(report: Comparison) -> bytes:
    """The statistics of all photos."""
    images = dict.fromkeys(prediction.image for prediction in report.predictions)
    table = pd.concat([statistics(report, image).assign(image=image) for image in images])
    return bytes(table.to_csv(index=False), "utf-8")


_COST_FIELDS = tuple(Cost.model_fields)


def costs(report: CostReport) -> pd.DataFrame:
    """Every bill in exact numbers, one row a variant."""
    return pd.DataFrame(
        [
            {
                "variant": bill.name,
                "input_size": bill.input_size,
                "modules": bill.modules,
                **{
                    f"{part}_{field}": getattr(getattr(bill, part), field)
                    for part in ("total", "attention", "delta")
                    for field in _COST_FIELDS
                },
                "buffers": bill.buffers,
            }
            for bill in report.variants
        ]
    )


def costs_text(report: CostReport) -> pd.DataFrame:
    """The bills to be read: exact, with thousands separators, and in human units."""
    label = called(report)

    def exact(number: int, unit: str = "", sign: str = "") -> str:
        return f"{number:{sign},}" + (f"  ({human(number, unit)})" if abs(number) >= 1000 else "")

    return pd.DataFrame(
        [
            {
                "variant": label[bill.name],
                "parameters": exact(bill.total.parameters),
                "MACs": exact(bill.total.macs),
                "attention parameters": exact(bill.attention.parameters),
                "attention MACs": exact(bill.attention.macs),
                "Δ parameters": exact(bill.delta.parameters, sign="+") if bill.modules else "0",
                "Δ MACs": exact(bill.delta.macs, sign="+") if bill.modules else "0",
                "Δ traffic": f"{human(bill.delta.bytes, 'B')}",
            }
            for bill in report.variants
        ]
    ).set_index("variant")


def costs_csv(report: CostReport) -> bytes:
    """The bills as a file."""
    return bytes(costs(report).to_csv(index=False), "utf-8")
