"""How many photos a second the service answers for many clients, beside the bare network on the same device.

    python -m benchmarks.load.gpu_service [VARIANT] [--device cuda] [--clients 64] [--seconds 15] [--dtype bfloat16]

The service runs in a process of its own, with recorded graphs on CUDA; each client sends photos of 224 pixels that
nobody has sent before and reads the whole answer. Then, with the service ended, the bare network runs on made-up images
that lie on the device, a batch for all clients: no decoding, no gates read, no answers written. By the clock.
"""

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path

import torch

from attention.build import build
from attention.running.device import best_device, device_name
from attention.running.fused import fused_copy
from attention.running.timing import synchroniser
from attention.spec import Variant
from benchmarks.load import crowd, service


def served(variant: str, clients: int, seconds: float, port_host: str, port: int) -> str:
    """Let clients ask a service; says photos a second and how long they waited."""
    photos = list(itertools.islice(service.photos(), 32))
    asking = crowd.Crowd(port_host, port, crowd.comparison(photos, variant))
    asking.ask(clients, seconds / 3, enough=clients)  # networks are built, passes recorded
    began = time.perf_counter()
    answers = asking.ask(clients, seconds)
    taken = time.perf_counter() - began
    waits = [answer.seconds for answer in answers if answer.status == crowd.ANSWERED]
    if not waits:
        raise SystemExit(f"The service answered none of {len(answers)} requests.")
    middle, slow = (1e3 * crowd.quantile(waits, share) for share in (0.5, 0.95))
    refused = sum(answer.status != crowd.ANSWERED for answer in answers)
    times = f"median {middle:.0f} ms, 95 % within {slow:.0f} ms"
    return f"{len(waits) / taken:.1f} photos a second, {times}, {refused} refused"


def bare(variant: str, device: str, dtype: str, batch: int, seconds: float) -> float:
    """Images a second of the network by itself, in the form that the service runs."""
    network = build(Variant.parse(variant))
    number_format = getattr(torch, dtype)
    ready = fused_copy(network).to(device, number_format, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(batch, 3, *network.height_and_width).to(
        device, number_format, memory_format=torch.channels_last
    )
    wait, count = synchroniser(device), 0
    with torch.inference_mode():
        ready(images)
        wait()
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            ready(images)
            wait()
            count += batch
    return count / (time.perf_counter() - began)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant", nargs="?", default="resnet50/eca")
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--dtype", default="bfloat16", choices=("float32", "bfloat16", "float16"))
    chosen = parser.parse_args()
    os.environ |= {"ATTENTION_DEVICE": chosen.device, "ATTENTION_DTYPE": chosen.dtype}
    if chosen.device.startswith("cuda"):
        os.environ["ATTENTION_COMPILE"] = "graphs"
    print(f"{chosen.variant}, {chosen.dtype}, {chosen.clients} clients, {device_name(chosen.device)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        server = service.start("service", chosen.variant, Path(folder))
        try:
            url = server.client.base_url
            print(
                "service:", served(chosen.variant, chosen.clients, chosen.seconds, url.host, url.port or 80), flush=True
            )
        finally:
            service.end(server.process)
    speed = bare(chosen.variant, chosen.device, chosen.dtype, chosen.clients, chosen.seconds / 3)
    print(f"bare network, batches of {chosen.clients}: {speed:.1f} images a second")


if __name__ == "__main__":
    main()
