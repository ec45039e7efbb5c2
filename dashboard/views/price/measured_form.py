"""What Measured time asks: which networks, beside which, and under which conditions. All of it is in the address."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from attention.names import short_size
from attention.precision import DType
from attention.reports.latency import MODES, LatencyRequest, Mode
from attention.spec import Variant
from dashboard import connect
from dashboard.drawing.words import backbone, labels
from dashboard.language import listed, marked, say
from dashboard.widgets import forms, linked

C = TypeVar("C", bound=str)

FIELDS = LatencyRequest.model_fields
FORMATS: Mapping[DType, str] = {
    "float32": "float32",
    "bfloat16": marked("bfloat16, half the bytes"),
    "float16": marked("float16, on CUDA only"),
}
TWIN = ""
"""The baseline that is the plain twin of the first network."""
SERVICE = ""
"""The device that the service runs networks on."""


def form() -> Callable[[], LatencyRequest] | None:
    """Which networks, how they are run, and how often."""
    default: Sequence[Variant] = FIELDS["variants"].default
    variants = forms.variants(connect.catalog(), default, "variant", about=say("Weights do not matter to time."))
    arms = tuple(dict.fromkeys(variant.model_copy(update={"weights": None}) for variant in variants))
    first, second, third, fourth = st.columns(4)
    batch = number(first, say("Images a pass"), "batch", 1, 1024, 1)
    placeholder = say("the first one's own")
    size = linked.size(second.text_input, say("Input size, pixels"), "size", None, placeholder=placeholder)
    threads = number(third, say("CPU threads"), "threads", 1, 256, 1, say("Of one pass. On a GPU they only feed it."))
    rounds = number(
        fourth, say("Rounds"), "rounds", 6, 2000, 30, say("In each every network runs once. More of them tell finer.")
    )
    first, second, third, fourth = st.columns(4)
    there = devices()
    on_gpu = there[SERVICE].startswith("cuda")
    modes = {name: what for name, what in MODES.items() if on_gpu or name != "graphs"}
    formats = {name: what for name, what in FORMATS.items() if on_gpu or name != "float16"}
    mode: Mode = choice(
        first, say("How they run"), "mode", modes, "  \n".join(f"**{n}** {say(t)}" for n, t in modes.items())
    )
    dtype: DType = choice(
        second, say("Number format"), "dtype", formats, say("Of weights and activations."), shown=True
    )
    device = choice(third, say("Device"), "device", there, say("The service's own, or its CPU."), shown=True)
    names = {TWIN: say("the plain twin of the first"), **labels([arm.name for arm in arms])}
    baseline = choice(fourth, say("Compared with"), "baseline", names, say("It runs twice in every round."), shown=True)
    with st.expander(say("Warm-up and tolerance"), icon=":material/tune:"):
        first, second = st.columns(2)
        warm_up = number(first, say("Rounds before any is timed"), "warm_up", 1, 100, 3)
        tolerance = number(
            second,
            say("Two timings of the baseline may differ by, %"),
            "tolerance",
            1,
            50,
            2,
            say(
                "Beyond it no number is given. Raise it where other work keeps the machine busy, and read less into "
                "them."
            ),
        )
    if not arms:
        return None
    return lambda: LatencyRequest(
        variants=arms,
        baseline=next((arm for arm in arms if arm.name == baseline), None),
        input_size=size,
        batch=batch,
        device=device or None,
        dtype=dtype,
        mode=mode,
        threads=threads,
        warm_up=warm_up,
        rounds=rounds,
        tolerance=tolerance / 100,
    )


def devices() -> dict[str, str]:
    """What can be asked for: the device of the service, and its CPU where that is another."""
    device = connect.client().health().device
    devices_by_name = {SERVICE: device}
    return devices_by_name if device.startswith("cpu") else {**devices_by_name, "cpu": "cpu"}


def number(
    column: DeltaGenerator, label: str, key: str, low: int, high: int, default: int, about: str | None = None
) -> int:
    """A whole number that stands in the page's address."""
    return int(linked.number(column.number_input, label, low, high, key, default, help=about))


def choice(
    column: DeltaGenerator, label: str, key: str, options: Mapping[C, str], about: str, shown: bool = False
) -> C:
    """One of some names, which stands in the page's address.

    Args:
        shown: whether what the names stand for is shown in their place.
    """
    names: list[C] = list(options)
    offered = options if shown else names
    return linked.choice(column.selectbox, label, offered, key, names[0], help=about, disabled=len(names) == 1)  # type: ignore[return-value]


def described(request: LatencyRequest) -> str:
    """A measurement in a line."""
    named = listed(labels([variant.name for variant in request.variants]).values())
    hosts = list(dict.fromkeys(backbone(variant) for variant in request.variants))
    named += f" · {hosts[0]}" if len(hosts) == 1 else ""
    size = say("their own size")
    if request.input_size is not None:
        size = say("%(input_size)s pixels", input_size=short_size(request.input_size))
    threads = say("threads: %(threads)s", threads=request.threads)
    where = f"{request.device}, " if request.device else ""
    return say(
        "**%(named)s** · batch %(batch)s, %(size)s, %(dtype)s, %(mode)s, %(where)s%(threads)s · %(rounds)s rounds",
        named=named,
        batch=request.batch,
        size=size,
        dtype=request.dtype,
        mode=request.mode,
        where=where,
        threads=threads,
        rounds=request.rounds,
    )
