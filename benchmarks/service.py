"""CPU time of the whole server per photo, with 16 clients at once, against the bare networks without any server.

    python -m benchmarks.service [VARIANT] [--turns N]

Service: ``python -m server`` in a process of its own; 16 clients send a 224-pixel JPEG each in one multipart request to
``POST /v1/compare`` and read the whole answer. Bare: another process with the same settings decodes the
same photos, prepares them and runs the same network on batches of 16. The two take turns; only the CPU time of those
two processes counts. The ratio bare / service is the share of the machine that reaches the networks. Every
request carries other bytes, so nothing is answered twice.
"""

import argparse
import io
import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
from PIL import Image

from attention.files import samples
from benchmarks.measure import line, paired_ratio

CLIENTS = 16
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}

BARE = """
import sys
from server.process import prepare_process
from server.settings import Settings
prepare_process(Settings())  # the same threads and the same malloc as the service

import torch
from attention.build import build, preprocess_of
from attention.images import decode, preprocess
from attention.spec import Variant

variant = Variant.parse(sys.argv[1])
model = build(variant).to(memory_format=torch.channels_last)
how = preprocess_of(variant)
for line in sys.stdin:
    folder, count = line.split()
    for number in range(int(count)):
        photos = [open(f"{folder}/{number}-{client}.jpg", "rb").read() for client in range(16)]
        batch = torch.stack([preprocess(decode(photo), how) for photo in photos])
        with torch.inference_mode():
            model(batch.contiguous(memory_format=torch.channels_last)).softmax(1).topk(5)
    print("done", flush=True)
"""


def photos() -> "itertools.chain[bytes]":
    """JPEGs of 224 pixels without end, no two alike."""
    crops = []
    for sample in samples():
        image = Image.open(sample.path).convert("RGB")
        side = min(image.size)
        crops.append(np.asarray(image.resize((224, 224), box=(0, 0, side, side))))

    def one(number: int) -> bytes:
        file = io.BytesIO()
        pixels = np.roll(crops[number % len(crops)], number // len(crops) + 1, axis=1)
        Image.fromarray(pixels).save(file, "JPEG", quality=85, comment=str(number).encode())
        return file.getvalue()

    return itertools.chain(one(number) for number in itertools.count())


def cpu_seconds(process: "subprocess.Popen[str]") -> float:
    """User and system time of a process so far, all its threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_ready(client: httpx2.Client) -> None:
    """Until the server answers, or a minute has gone."""
    for _ in range(240):
        try:
            if client.get("/v1/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.25)
    raise SystemExit("The server did not become ready within a minute.")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant", nargs="?", default="resnet50/eca")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--batches", type=int, default=3, help="requests of each client in a turn")
    chosen = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**ENVIRONMENT, "ATTENTION_DATA": folder, "ATTENTION_PORT": str(port)}
        server = subprocess.Popen(
            [sys.executable, "-m", "server"], env=environment, text=True, stdout=subprocess.DEVNULL
        )
        bare = subprocess.Popen(
            [sys.executable, "-c", BARE, chosen.variant],
            env=ENVIRONMENT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=300) as client:
                measure(chosen, client, server, bare, Path(folder))
        finally:
            for process in (server, bare):
                process.terminate()
                process.wait()


def measure(
    chosen: argparse.Namespace,
    client: httpx2.Client,
    server: "subprocess.Popen[str]",
    bare: "subprocess.Popen[str]",
    folder: Path,
) -> None:
    """Let the two take turns and print what each photo cost."""
    assert bare.stdin and bare.stdout
    supply, per_turn = photos(), CLIENTS * chosen.batches
    wait_until_ready(client)
    costs: dict[str, list[float]] = {"service": [], "bare": []}

    def ask(photo: bytes) -> None:
        answer = client.post("/v1/compare", files={"image": ("photo.jpg", photo)}, data={"variants": chosen.variant})
        assert answer.status_code == 200 and len(answer.json()["predictions"]) == 1, answer.text

    with ThreadPoolExecutor(CLIENTS) as clients:
        for turn in range(chosen.turns + 1):  # the first warms up
            before = cpu_seconds(server)
            list(clients.map(ask, itertools.islice(supply, per_turn)))
            service_cost = (cpu_seconds(server) - before) / per_turn
            for place, photo in zip(itertools.product(range(chosen.batches), range(CLIENTS)), supply, strict=False):
                (folder / f"{place[0]}-{place[1]}.jpg").write_bytes(photo)
            before = cpu_seconds(bare)
            print(folder, chosen.batches, file=bare.stdin, flush=True)
            bare.stdout.readline()
            if turn:
                costs["service"].append(service_cost * 1e3)
                costs["bare"].append((cpu_seconds(bare) - before) / per_turn * 1e3)
    for name, taken in costs.items():
        print(line(f"{chosen.variant}, {name}", taken, "ms CPU a photo"))
    print(paired_ratio("bare / service", costs["bare"], costs["service"]))


if __name__ == "__main__":
    main()
