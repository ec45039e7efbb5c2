"""How long does a forward pass take on this machine, beside the plain network's?"""

import tempfile
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.build import build, resolve
from attention.counting.cost import count
from attention.errors import InvalidRequest, first_line
from attention.names import Size, height_and_width
from attention.reports.cost import Cost
from attention.reports.latency import LatencyReport, LatencyRequest, Timing, Verdict
from attention.reports.parts.evidence import Interval
from attention.running.device import device_name
from attention.running.export import export, onnx_session
from attention.running.fused import fused_copy
from attention.running.runner import Running, check_running
from attention.running.timing import bandwidth, median_interval, rounds, synchroniser
from attention.spec import Variant

FIRST, SECOND = "baseline, first", "baseline, second"


@analyses.register("latency")
def latency(request: LatencyRequest, lab: AnyLab) -> LatencyReport:
    """How long does a forward pass take on this machine, beside the plain network's?"""
    arms = [resolve(variant.model_copy(update={"weights": None})) for variant in request.variants]
    base = resolve((request.baseline or arms[0].plain).model_copy(update={"weights": None}))
    size = request.input_size or count(base).input_size
    for variant in (base, *arms):
        count(variant, size)  # before anything is measured: a network that cannot take this size is refused here
    device = request.device or lab.device
    check_running(device, request.dtype, request.mode == "graphs")
    if request.mode == "onnx" and (request.dtype != "float32" or not device.startswith("cpu")):
        raise InvalidRequest("Mode onnx is timed on the CPU in float32: ask for device cpu and dtype float32.")
    before = torch.get_num_threads()
    torch.set_num_threads(request.threads)
    try:
        speed = bandwidth(device)
        passes = _passes(request, [base, *arms], size, device, lab)
        passes = {FIRST: passes[base.name], SECOND: passes[base.name]} | {arm.name: passes[arm.name] for arm in arms}
        times = rounds(
            passes,
            request.rounds,
            warm_up=request.warm_up,
            synchronise=synchroniser(device),
            after_round=lambda done: lab.progress(done, request.rounds, f"round {done} of {request.rounds}"),
        )
    finally:
        torch.set_num_threads(before)
    return _report(request, base, arms, size, speed, times, device)


def _passes(
    request: LatencyRequest, variants: list[Variant], size: Size, device: str, lab: AnyLab
) -> dict[str, Callable[[], object]]:
    """One forward pass of each network, ready to run."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(request.batch, 3, *height_and_width(size), generator=generator)  # (B, 3, H, W)
    dtype: torch.dtype = getattr(torch, request.dtype)
    images = images.to(device, dtype, memory_format=torch.channels_last)
    passes: dict[str, Callable[[], object]] = {}
    for number, variant in enumerate(dict.fromkeys(variants)):
        lab.progress(0, request.rounds, f"preparing {variant.name} ({number + 1} of {len(set(variants))})")
        network = build(variant)
        if request.mode == "onnx":
            passes[variant.name] = _in_onnx_runtime(network, images.contiguous(), size, request.threads)
            continue
        ready: nn.Module = fused_copy(network) if request.mode in ("served", "graphs") else network
        if request.mode == "graphs":
            passes[variant.name] = _recorded(Running(ready, device, request.dtype, graphs=True), images, variant)
            continue
        ready = ready.to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if request.mode == "compiled":
            ready = _compiled(ready, images)
        passes[variant.name] = _pass(ready, images)
    return passes


def _pass(network: nn.Module, images: Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return network(images)

    return run


def _recorded(running: Running, images: Tensor, variant: Variant) -> Callable[[], object]:
    """Record a network's forward pass as a CUDA graph.

    Raises:
        InvalidRequest: it cannot be recorded, so its time would be that of another mode.
    """
    running(images)
    if not running.recorded:
        raise InvalidRequest(f"{variant.name} cannot be recorded as a CUDA graph here. Ask for mode served.")
    return lambda: running(images)


def _in_onnx_runtime(network: nn.Module, images: Tensor, size: Size, threads: int) -> Callable[[], object]:
    """Export a network as ONNX, check it against torch, and open it in ONNX Runtime.

    Raises:
        InvalidRequest: a package is missing, or the network cannot be exported.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(network, path, size)
        run, _ = onnx_session(path, threads)
    return lambda: run(images)


def _compiled(network: nn.Module, images: Tensor) -> nn.Module:
    """Compile a network with torch.compile.

    Raises:
        InvalidRequest: the machine has nothing to compile with.
    """
    compiled: nn.Module = torch.compile(network)  # type: ignore[assignment]
    try:
        with torch.inference_mode():
            compiled(images)
    except Exception as error:  # whatever the compiler's parts raise, of which there are many kinds
        raise InvalidRequest(
            f"torch.compile does not work here ({first_line(error)}). It needs a C++ compiler, and Triton on a GPU. "
            "Ask for mode eager or served."
        ) from error
    return compiled


def _report(
    request: LatencyRequest,
    base: Variant,
    arms: list[Variant],
    size: Size,
    speed: float,
    times: dict[str, list[float]],
    device: str,
) -> LatencyReport:
    control = _ratio(times[SECOND], times[FIRST])
    withheld = why_withheld(control, request.tolerance)
    base_times = np.add(times[FIRST], times[SECOND]) / 2
    bill = count(base, size).total
    timings = []

    def all_bytes(cost: Cost) -> int:
        """Of the whole batch in the number format asked for; the ledger counts one image in float32."""
        return request.batch * cost.bytes * _width(request) // 4

    for arm in arms:
        arm_bill, extra = count(arm, size).total, np.subtract(times[arm.name], base_times)
        ratio = _ratio(times[arm.name], base_times.tolist())
        low, middle, high = (1e3 * float(value) for value in np.quantile(times[arm.name], (0.25, 0.5, 0.75)))
        reported = withheld is None
        extra_bytes = all_bytes(arm_bill) - all_bytes(bill)
        timings.append(
            Timing(
                name=arm.name,
                variant=arm,
                median_ms=middle if reported else None,
                median=_milliseconds(times[arm.name]) if reported else None,
                low_ms=low if reported else None,
                high_ms=high if reported else None,
                ratio=ratio if reported else None,
                verdict=verdict(ratio, control, request.tolerance) if reported else "withheld",
                macs=request.batch * arm_bill.macs,
                bytes=all_bytes(arm_bill),
                extra_bytes=extra_bytes,
                extra_macs=request.batch * (arm_bill.macs - bill.macs),
                predicted_extra_ms=1e3 * extra_bytes / speed,
                measured_extra_ms=1e3 * float(np.median(extra)) if reported else None,
            )
        )
    return LatencyReport(
        headline=withheld or _headline(timings, base),
        timings=tuple(timings),
        baseline=base.name,
        baseline_ms=1e3 * float(np.median(times[FIRST] + times[SECOND])),
        baseline_pair=(_milliseconds(times[FIRST]), _milliseconds(times[SECOND])),
        baseline_macs=request.batch * bill.macs,
        baseline_bytes=all_bytes(bill),
        control=control,
        withheld=withheld,
        tolerance=request.tolerance,
        warm_up=request.warm_up,
        rounds=request.rounds,
        input_size=size,
        batch=request.batch,
        dtype=request.dtype,
        mode=request.mode,
        threads=request.threads,
        bandwidth=speed,
        device=device_name(device),
        torch=str(torch.__version__),
        date=date.today().isoformat(),
        caveats=_caveats(request, device),
    )


def _ratio(over: list[float], under: list[float]) -> Interval:
    return median_interval(np.divide(over, under))


def _milliseconds(times: list[float]) -> Interval:
    return median_interval(1e3 * np.asarray(times))


def _width(request: LatencyRequest) -> int:
    """Bytes of a number."""
    return torch.empty(0, dtype=getattr(torch, request.dtype)).element_size()


def why_withheld(control: Interval, tolerance: float) -> str | None:
    """Why no number can be given: the baseline's two timings disagree. None if they agree."""
    off = max(abs(control.estimate - 1), (control.high - control.low) / 2)
    if off <= tolerance:
        return None
    return (
        f"No number is given: two timings of the same network differ by up to {off:.1%} here (ratio "
        f"{control.estimate:.3f} [{control.low:.3f}, {control.high:.3f}], {control.n} rounds), and {tolerance:.1%} is "
        "allowed. Ask again when the machine is idle, or for more rounds."
    )


def verdict(ratio: Interval, control: Interval, tolerance: float) -> Verdict:
    """Whether a network is slower or faster than the baseline, by more than the baseline is than itself."""
    noise = max(abs(control.low - 1), abs(control.high - 1))
    if ratio.low > 1 and ratio.estimate - 1 > noise:
        return "slower"
    if ratio.high < 1 and 1 - ratio.estimate > noise:
        return "faster"
    within = 1 - tolerance <= ratio.low and ratio.high <= 1 + tolerance
    return "no difference" if within else "undecided"


def _headline(timings: list[Timing], base: Variant) -> str:
    verdicts = []
    for timing in timings:
        assert timing.ratio is not None
        share = f"{timing.ratio.estimate - 1:+.1%} [{timing.ratio.low - 1:+.1%}, {timing.ratio.high - 1:+.1%}]"
        verdicts.append(f"{timing.name}: {timing.verdict} ({share})")
    return f"Against {base.name}: {'; '.join(verdicts)}."


def _caveats(request: LatencyRequest, device: str) -> tuple[str, ...]:
    sentences = ["Times are of the forward pass alone: no decoding, no copying to the device."]
    if request.mode == "onnx":
        sentences.append(
            f"Run in ONNX Runtime {version('onnxruntime')}, exported with a free batch and, if possible, size."
        )
    if request.mode != "eager":
        sentences.append("The predicted extra time is of the unfused module form, which this mode does not run.")
    if not device.startswith("cuda"):
        sentences.append(
            "On a CPU maps that fit a cache move faster than memory does, so less than predicted is expected."
        )
    return tuple(sentences)
