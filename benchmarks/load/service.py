"""CPU time per photo of the whole server with 16 clients at once, beside the bare network and other servers.

    python -m benchmarks.load.service [VARIANT] [--turns N] [--photos N] [--without naive litserve]

Service: ``python -m server`` in a process of its own; 16 clients send a 224-pixel JPEG each in one multipart request to
``POST /v1/compare`` and read the whole answer. Bare: another process decodes the same photos, prepares them and runs
the same network, as it is built, on batches of 16: on all cores as torch does by itself, and once more on one thread,
which takes less CPU time and longer by the clock. The others are in `benchmarks.load.rivals`. All take turns; only the
CPU time of the servers' processes counts, with all their children. Every request carries other bytes, so nothing is
answered twice, but for those that measure just that. Between its turns a server is stopped.

A lone client's time is by the clock: the median over its requests in a turn, beside the median of decoding and a
forward pass of one image in the bare process.
"""

import argparse
import http.client
import importlib.util
import io
import itertools
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx2
import numpy as np
from PIL import Image

from attention.data.files import samples
from benchmarks.measure import line, paired_ratio

CLIENTS = 16
ENVIRONMENT = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(os.cpu_count() or 1)}
"""For the bare network. The service asks for the same by itself, and other servers run as they come."""

AGAIN = 40
"""How often a photo that is known is sent by each client: hundreds a turn, for one costs less than the clock shows."""


def photos() -> Iterator[bytes]:
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

    return (one(number) for number in itertools.count())


def cpu_seconds(process: "subprocess.Popen[str]") -> float:
    """User and system time so far of a process, all its threads, and all its children."""
    children: dict[int, list[int]] = defaultdict(list)
    used: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        children[int(fields[1])].append(int(folder.name))
        used[int(folder.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    family, total = [process.pid], 0.0
    while family:
        one = family.pop()
        total += used.get(one, 0.0)
        family += children[one]
    return total


class Server(NamedTuple):
    """A server that runs, and how it is asked."""

    process: "subprocess.Popen[str]"
    client: httpx2.Client
    path: str
    fields: dict[str, str]

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Let its processes run only inside: some servers have work also when nobody asks, which others would feel."""
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def ask(self, photo: bytes) -> None:
        """Send a photo and read the answer."""
        answer = self.client.post(self.path, files={"image": ("photo.jpg", photo)}, data=self.fields)
        assert answer.status_code == 200 and len(answer.content) > 50, answer.text

    def together(self, some: Sequence[bytes], clients: ThreadPoolExecutor) -> float:
        """Send photos, 16 clients at once; CPU milliseconds of the server for each."""
        with self.awake():
            before = cpu_seconds(self.process)
            list(clients.map(self.ask, some))
            return (cpu_seconds(self.process) - before) / len(some) * 1e3

    def alone(self, some: Sequence[bytes]) -> float:
        """Send photos one after the other over one connection; the median time of one, milliseconds by the clock.

        What a client's library takes to put a form together is not the server's time, so that is done before.
        """
        taken = []
        line = http.client.HTTPConnection(self.client.base_url.host, self.client.base_url.port or 80)
        with self.awake(), closing(line):
            for photo in some:
                files = {"image": ("photo.jpg", photo)}
                form = self.client.build_request("POST", self.path, files=files, data=self.fields)
                body, kind = form.read(), form.headers["Content-Type"]
                started = time.perf_counter()
                line.request("POST", self.path, body, {"Content-Type": kind})
                answer = line.getresponse()
                answer.read()
                taken.append((time.perf_counter() - started) * 1e3)
                assert answer.status == 200
        return statistics.median(taken)


class Bare:
    """The network without a server, in a process of its own."""

    def __init__(self, variant: str, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load.rivals", "bare", variant],
            env=ENVIRONMENT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, some: Sequence[bytes], threads: int, batch: int) -> tuple[float, float]:
        """CPU milliseconds for each photo, and the median milliseconds of a batch by the clock."""
        assert self.process.stdin and self.process.stdout
        for number, photo in enumerate(some):
            (self.folder / f"{number}.jpg").write_bytes(photo)
        before = cpu_seconds(self.process)
        print(threads, self.folder, len(some), batch, file=self.process.stdin, flush=True)
        taken = [float(seconds) * 1e3 for seconds in self.process.stdout.readline().split()]
        return (cpu_seconds(self.process) - before) / len(some) * 1e3, statistics.median(taken)


def start(kind: str, variant: str, folder: Path) -> Server:
    """Start a server and wait until it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    if kind == "service":
        environment = {**os.environ, "ATTENTION_DATA": str(folder), "ATTENTION_PORT": str(port)}
        command, path, fields = ["server"], "/v1/compare", {"variants": variant}
    else:
        environment, path, fields = dict(os.environ), "/predict", {}
        command = ["benchmarks.load.rival_litserve"] if kind == "litserve" else ["benchmarks.load.rivals", kind]
        command += [variant, str(port)]
    environment.setdefault("ATTENTION_LOG_LEVEL", "warning")
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=300)
    try:
        wait_until_ready(client)
    except BaseException:
        end(process)
        raise
    return Server(process, client, path, fields)


def wait_until_ready(client: httpx2.Client) -> None:
    """Until the server answers, or two minutes have gone."""
    for _ in range(480):
        try:
            if client.get("/v1/ready").status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.25)
    raise SystemExit("The server did not become ready within two minutes.")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant", nargs="?", default="resnet50/eca")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--photos", type=int, default=48, help="photos that each is sent in a turn")
    parser.add_argument("--lone", type=int, default=12, help="photos that a lone client sends in a turn")
    parser.add_argument("--without", nargs="*", default=[], choices=("naive", "litserve"), help="servers to leave out")
    chosen = parser.parse_args()
    kinds = [kind for kind in ("service", "naive", "litserve") if kind not in chosen.without]
    if "litserve" in kinds and importlib.util.find_spec("litserve") is None:
        kinds.remove("litserve")
        print("LitServe is not installed, so it is left out: pip install litserve.")
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        bare = Bare(chosen.variant, Path(folder))
        running.callback(end, bare.process)
        servers: dict[str, Server] = {}
        for kind in kinds:
            servers[kind] = start(kind, chosen.variant, Path(folder))
            running.callback(end, servers[kind].process)
            os.killpg(servers[kind].process.pid, signal.SIGSTOP)
        measure(chosen, servers, bare)


def end(process: "subprocess.Popen[str]") -> None:
    """Let a process end, and its children, whom LitServe leaves behind."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(20)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def measure(chosen: argparse.Namespace, servers: dict[str, Server], bare: Bare) -> None:
    """Let all take turns and print what each photo cost."""
    cpu: dict[str, list[float]] = defaultdict(list)
    clock: dict[str, list[float]] = defaultdict(list)
    supply, cores = photos(), os.cpu_count() or 1

    def some(count: int) -> list[bytes]:
        return list(itertools.islice(supply, count))

    with ThreadPoolExecutor(CLIENTS) as clients:
        for turn in range(chosen.turns + 1):
            cpu_now: dict[str, float] = {}
            clock_now: dict[str, float] = {}
            for kind, server in servers.items():
                cpu_now[kind] = server.together(some(chosen.photos), clients)
            cpu_now["bare"], _ = bare.run(some(chosen.photos), cores, CLIENTS)
            cpu_now["bare, one thread"], _ = bare.run(some(chosen.photos), 1, CLIENTS)
            known = some(1) * CLIENTS * AGAIN
            servers["service"].together(known[:1], clients)
            cpu_now["known"] = servers["service"].together(known, clients)
            clock_now["service"] = servers["service"].alone(some(chosen.lone))
            clock_now["bare"] = min(bare.run(some(chosen.lone), threads, 1)[1] for threads in {1, cores})
            if turn:  # the first warms up
                for name, value in cpu_now.items():
                    cpu[name].append(value)
                for name, value in clock_now.items():
                    clock[name].append(value)
    print(f"{chosen.variant}, {CLIENTS} clients")
    for name, taken in cpu.items():
        print(line(f"{name}", taken, "ms CPU a photo"))
    for name in ("bare", "bare, one thread"):
        print(paired_ratio(f"{name} / service", cpu[name], cpu["service"]))
    for name in servers:
        if name != "service":
            print(paired_ratio(f"{name} / service", cpu[name], cpu["service"]))
    print(paired_ratio("service / known", cpu["service"], cpu["known"]))
    print("One client alone")
    for name, taken in clock.items():
        print(line(f"{name}", taken, "ms by the clock"))
    print(paired_ratio("service / bare", clock["service"], clock["bare"]))


if __name__ == "__main__":
    main()
