"""Write a network as a file that needs no code of ours, and check on the spot that it answers as torch does."""

import hashlib
import shutil
import tempfile
import zipfile
from pathlib import Path

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.reports.export import ExportCard, ExportedFile, ExportReport, ExportRequest
from attention.reports.parts.network import Network
from attention.running.export import FORMATS, About, export
from attention.running.hub_layout import save_pretrained
from attention.storage.base import check_room
from attention.weights.load import checkpoint_name

SUFFIXES = {kind: suffix for suffix, kind in FORMATS.items()} | {"safetensors": ".zip"}  # packed with its card
"""Format of an exported network -> ending of the name of its file."""

FOLDER = "exports"
STEPS = 3


@analyses.register("export")
def exported(request: ExportRequest, lab: AnyLab) -> ExportReport:
    """Write a network as ONNX, as a program of torch.export or as safetensors with a card, and check it against torch.

    The same network in the same format lies in the same place, so a job that begins again leaves nothing behind.
    """
    network = lab.describe(request.variant)
    suffix = SUFFIXES[request.format]
    digest = hashlib.sha256(f"{request.model_dump_json()}{network.stamp}".encode()).hexdigest()[:32]
    name = checkpoint_name(network.variant).replace("=", "")[:120] + suffix
    file = ExportedFile(name=name, stored=f"{FOLDER}/{digest}{suffix}", bytes=None)
    report = ExportReport(network=network.name, file=file, card=None, complete=False)
    lab.progress(0, STEPS, f"building {network.name}", report)
    store = lab.files.file_store
    folder = store.root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    check_room(folder, name, 2 * 4 * network.parameters)
    coming = Path(tempfile.mkdtemp(dir=folder, prefix=".", suffix=".part"))
    try:
        path, card = _write(request, network, coming / name, lab, report)
        size = path.stat().st_size
        store.remove(file.stored)
        store.create(file.stored, path)
    finally:
        shutil.rmtree(coming, ignore_errors=True)
    return report.model_copy(update={"file": file.model_copy(update={"bytes": size}), "card": card, "complete": True})


def _write(
    request: ExportRequest, network: Network, path: Path, lab: AnyLab, report: ExportReport
) -> tuple[Path, ExportCard]:
    """Write and check the file, the hub's layout as one zip; gives where it is."""
    model = lab.network(network.variant)
    about = About(network.variant, network.preprocess, network.labels)
    size = request.input_size or network.preprocess.input_size
    lab.progress(1, STEPS, f"writing {path.name}, and checking it against torch", report)
    if request.format != "safetensors":
        return path, export(model, path, size, about)
    folder = path.with_suffix("")
    card = save_pretrained(model, folder, size, about, request.licence)
    lab.progress(2, STEPS, f"packing {path.name}", report)
    with zipfile.ZipFile(path, "w") as packed:  # weights do not get smaller by compression
        for part in sorted(folder.iterdir()):
            packed.write(part, part.name)
    return path, card
