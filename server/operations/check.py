"""``python -m server check``: tries out a configuration before, or while, the service runs with it.

One line for each thing: OK, WARN (it works, and there is something to know) or FAIL (it would not). The exit code is 1
if anything failed. Nothing is changed: no table is made, no file stays.
"""

import os
import shutil
import socket
import stat
import tempfile
import urllib.request
import uuid
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from attention.commands import report_options
from attention.errors import AttentionError
from attention.storage.base import FileStore
from server.access.keys import read_keys
from server.access.middleware import exposure
from server.settings import Settings, machine_memory

Verdict = Literal["OK", "WARN", "FAIL"]

PREFIX = "ATTENTION_"

LITTLE_ROOM = 1_000_000_000
"""Bytes below which a data folder is as good as full."""

LITTLE_MEMORY = 800_000_000
"""Least memory budget, bytes, in which a ResNet-50 is loaded and run on 16 photos."""

OTHERS = tuple(
    f"ATTENTION_{name}"
    for name in (
        "API",
        "API_KEY",
        "BIND",
        "DASHBOARD_HOSTS",
        "DASHBOARD_MEMORY_LIMIT",
        "DASHBOARD_PORT",
        "MEMORY_LIMIT",
    )
)
"""Variables of the dashboard, of `make run` and of the compose file."""

ANSWER_TIMEOUT_S = 3.0
"""How long the process that has the port may take to say what it is."""


@dataclass(frozen=True)
class Finding:
    """What was found about one thing."""

    verdict: Verdict
    about: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.verdict:<4}  {self.about:<11}  {self.sentence}"


def main(try_engine: Callable[[Settings], str], chosen: Namespace) -> int:
    """Print what was found, line by line as it is found or else as a table; 1 if anything failed.

    Args:
        try_engine: tries out the engine that settings ask for, and gives in words what is there.
        chosen: options of `report_options`.
    """
    lines = chosen.format == "text" and chosen.output is None and not chosen.table
    results = []
    for finding in findings(os.environ, try_engine):
        results.append(finding)
        if lines:
            print(finding, flush=True)
    if not lines:
        rows = [(finding.verdict, finding.about, finding.sentence) for finding in results]
        caption = "What was found out about the configuration."
        report_options.give_list("findings", caption, ("verdict", "about", "sentence"), rows, chosen)
    return int(any(finding.verdict == "FAIL" for finding in results))


def findings(environment: Mapping[str, str], try_engine: Callable[[Settings], str]) -> Iterator[Finding]:
    """All that can be found out, in the order in which one thing needs another."""
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            yield Finding("FAIL", "settings", f"{PREFIX}{str(fault['loc'][0]).upper()}: {fault['msg']}.")
        return
    yield from _settings(settings, environment)

    def engine(settings: Settings) -> Findings:
        yield "OK", try_engine(settings)

    for about, look in {**_LOOKS, "engine": engine}.items():
        try:
            yield from (Finding(verdict, about, sentence) for verdict, sentence in look(settings))
        except AttentionError as error:
            yield Finding("FAIL", about, str(error))
        except Exception as error:
            yield Finding("FAIL", about, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    names = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields]
    strange = [name for name in sorted(environment) if name.upper().startswith(PREFIX)]
    strange = [name for name in strange if name.upper() not in (*names, *OTHERS)]
    for name in strange:
        meant = get_close_matches(
            name.upper().removeprefix(PREFIX), [setting.removeprefix(PREFIX) for setting in names], 1
        )
        hint = f" Did you mean {PREFIX}{meant[0]}?" if meant else ""
        yield Finding("WARN", "settings", f"Nothing reads {name}.{hint}")
    changed = ", ".join(sorted(f"{PREFIX}{name.upper()}" for name in settings.model_fields_set)) or "all defaults"
    yield Finding("OK", "settings", f"They are right ({changed}).")


Findings = Iterator[tuple[Verdict, str]]


def _folder(settings: Settings) -> Findings:
    folder = settings.folder
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield "FAIL", f"{existing} cannot be written ({error.strerror}). Make it writable, or change ATTENTION_DATA."
        return
    free = shutil.disk_usage(existing).free
    what = str(folder) if existing == folder else f"{folder} will be made"
    if free < LITTLE_ROOM:
        yield "WARN", f"{what}, but only {free / 1e9:.2f} GB are free."
    else:
        yield "OK", f"{what}; it can be written, and {free / 1e9:.0f} GB are free."


def _models(settings: Settings) -> Findings:
    from attention.models import own_models
    from attention.names import write_size

    for name in own_models.read(settings.models):
        try:
            model = own_models.get(name).measured
            yield "OK", f"own(name={name}) takes {write_size(model.input_size)} pixels and gives {model.outputs}."
        except AttentionError as error:
            yield "WARN", str(error)


def _files(settings: Settings) -> Findings:
    from attention.data.files import Files

    if settings.files is None:
        return  # they are in the data folder
    file_store = Files(settings.folder, settings.files).file_store
    name, text = f"check/{uuid.uuid4().hex}", b"python -m server check"
    file_store.write(name, text)
    try:
        read, listed = file_store.read(name), [entry.name for entry in file_store.entries("check")]
        exclusive = _refused(file_store, name)
    finally:
        file_store.remove(name)
    if read != text or name not in listed:
        yield "FAIL", f"What was written to {settings.files} is not what is read there."
        return
    yield "OK", f"{settings.files} can be written, read, listed and deleted from."
    if not exclusive:
        yield (
            "WARN",
            "It does not do conditional writes (If-None-Match): of two data sets that are uploaded under one name at "
            "the same moment, the later one stays.",
        )


def _refused(file_store: FileStore, name: str) -> bool:
    """Whether a store refuses to make a file that is there."""
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        other.touch()
        try:
            file_store.create(name, other)
        except FileExistsError:
            return True
        except AttentionError:
            return False
    return False


def _database(settings: Settings) -> Findings:
    from sqlalchemy import inspect, make_url, text

    from server.store.database import connect
    from server.store.migrations import revision, revisions

    if not settings.database_shared:
        yield "WARN", "It is in memory: it is gone when the service ends, and there can be no jobs."
        return
    engine = connect(settings.database_url)
    try:
        if engine.dialect.name == "sqlite" and not os.path.exists(engine.url.database or ""):
            yield "OK", f"{engine.url.database} will be made."
            return
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            version = ".".join(str(part) for part in engine.dialect.server_version_info or ())
            at, tables = revision(connection), inspect(connection).get_table_names()
    finally:
        engine.dispose()
    what = f"{make_url(engine.url).render_as_string(hide_password=True)} answers ({engine.dialect.name} {version})"
    newest = revisions()[-1]
    if at == newest:
        yield "OK", f"{what}; its tables are at revision {at}, the newest."
    elif at is not None and at not in revisions():
        yield "FAIL", f"{what}; its tables are at revision {at}, and this version knows those up to {newest}."
    elif tables:
        yield (
            "WARN",
            f"{what}; its tables are at revision {at or 0}, and will be brought to {newest}: back it up first.",
        )
    else:
        yield "OK", f"{what}; it is empty, and tables will be made."


def _weights(settings: Settings) -> Findings:
    from attention.build import build
    from attention.weights import load as weights

    shipped = weights.shipped()
    for variant in shipped:
        build(variant.model_copy(update={"weights": "shipped"}))
    if not shipped:
        yield "WARN", "None come with this installation, so the name of a module alone means nothing here."
    else:
        yield "OK", f"All {len(shipped)} shipped checkpoints can be read and fit their networks."


def _device(settings: Settings) -> Findings:
    import torch

    from attention.build import build
    from attention.precision import APART
    from attention.running.device import device_name
    from attention.running.fused import fused_copy
    from attention.running.runner import Running, fetched
    from attention.spec import Variant
    from attention.weights import load as weights
    from server.engine.local import choose_device

    device = choose_device(settings.device)
    name = device_name(device)
    shipped = next(iter(weights.shipped()), None)
    variant = shipped.model_copy(update={"weights": "shipped"}) if shipped else Variant(backbone="resnet20")
    torch.set_num_threads(settings.cpu_threads)
    network = build(variant)
    running = Running(fused_copy(network), device, settings.dtype, settings.records(device))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = network(images).softmax(1)
    probabilities = fetched(*running(running.images(list(images))))[0].softmax(1)
    apart = float((probabilities - expected).abs().max())
    where = f"{name} in {settings.dtype}" if settings.dtype != "float32" else name
    if not apart <= APART[settings.dtype]:
        yield "FAIL", f"{where} gives other probabilities than the CPU: they are up to {apart:.2g} apart."
        return
    yield "OK", f"{where}; a network ran there and agrees with the CPU to {apart:.1g}."
    if settings.device == "auto" and device == "cpu" and shutil.which("nvidia-smi"):
        yield "WARN", "There is an NVIDIA driver, but this torch sees no GPU; is it the CPU build?"


def _memory(settings: Settings) -> Findings:
    budget, machine_bytes = settings.memory, machine_memory()
    sentence = f"Networks, passes, bodies and answers draw on {budget / 1e9:.1f} GB of {machine_bytes / 1e9:.1f} GB."
    if budget > machine_bytes:
        yield "WARN", f"{sentence} That is more than there is: lower ATTENTION_MEMORY_BYTES."
    elif budget < LITTLE_MEMORY:
        yield "WARN", f"{sentence} A ResNet-50 needs {LITTLE_MEMORY / 1e9:g} GB."
    else:
        yield "OK", sentence


def _port(settings: Settings) -> Findings:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    where = f"{settings.host}:{settings.port}"
    try:
        with socket.create_server((settings.host, settings.port), family=family):
            yield "OK", f"{where} is free." if settings.port else "Any free one will be taken."
    except OSError as error:
        if _answers(settings):
            yield "WARN", f"The service itself, or another one of its kind, answers at {where} already."
        else:
            reason = str(error.strerror).partition(" (while")[0]
            yield "FAIL", f"{where} cannot be had ({reason}). Stop what uses it, or change ATTENTION_PORT."


def _answers(settings: Settings) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}/v1/health"
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # whatever proxy the environment names
    try:
        with direct.open(address, timeout=ANSWER_TIMEOUT_S) as answer:
            return b'"status"' in answer.read(1000)
    except (OSError, ValueError):
        return False


def _access(settings: Settings) -> Findings:
    keys = [key for key in read_keys(settings.keys_path).keys if key.revoked is None]
    path = settings.keys_path
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield "WARN", f"Others on this machine can read {path}: chmod 600 {path}."
    if warning := exposure(settings):
        yield "WARN", warning
    elif settings.access == "open":
        where = "this machine" if settings.loopback else "whatever reaches it"
        yield "OK", f"No key is asked for (ATTENTION_ACCESS is open), from {where}."
    elif not keys and (settings.access == "keys" or path.exists()):
        yield "WARN", "A key is asked for and none is in use, so no request gets in: python -m server keys create NAME."
    elif keys:
        yield "OK", f"A key is asked for; {len(keys)} in use: {', '.join(sorted(key.name for key in keys))}."
    else:
        yield "OK", f"No key is asked for; only this machine reaches {settings.host}."


_LOOKS: Mapping[str, Callable[[Settings], Findings]] = {
    "data folder": _folder,
    "files": _files,
    "database": _database,
    "weights": _weights,
    "models": _models,
    "device": _device,
    "memory": _memory,
    "port": _port,
    "access": _access,
}
