"""Bring published networks of ImageNet from the hub; what is here already is not fetched again.

An interrupted download goes on where it stopped, a file with a wrong checksum is deleted, and before anything is
fetched the disk is asked whether it has room for all of it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from attention.analyses import analyses, checked_by
from attention.analysis import AnyLab
from attention.build import resolve
from attention.errors import InvalidRequest
from attention.network import describe
from attention.reports.fetch import FetchedNetwork, FetchReport, FetchRequest
from attention.weights.find import Checkpoints
from attention.weights.hub import Hub
from attention.weights.hub_networks import HubNetwork, find_networks

WEIGHTS = "model.safetensors"
STEP = 1000
"""Bytes of one step of a job's progress."""

SPEED_AFTER_S = 0.5
"""Seconds of a download before its speed is shown."""


@dataclass
class Download:
    """How far the fetching of a network is.

    Args:
        here: bytes of its file that are here.
        size: bytes of its file; about, until the hub has said so.
        fetched: bytes that came now.
    """

    network: HubNetwork
    here: int
    size: int
    fetched: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """``seresnet50.a1_in1k: 12.3 of 112.5 MB, 4.5 MB/s``."""
        speed = f", {self.fetched / self.seconds / 1e6:.1f} MB/s" if self.seconds > SPEED_AFTER_S else ""
        return f"{self.network.name}: {self.here / 1e6:.1f} of {self.size / 1e6:.1f} MB{speed}"


@analyses.register("weights/fetch")
@checked_by(lambda request: find_networks(request.name))
def fetch(request: FetchRequest, lab: AnyLab) -> FetchReport:
    """Bring published networks of ImageNet from the hub; what is here already is not fetched again."""
    networks = find_networks(request.name)
    sizes = {network.name: network.parameters * 4 for network in networks}
    reports: list[FetchedNetwork] = []

    def on_progress(download: Download) -> None:
        sizes[download.network.name] = download.size
        done = sum(report.bytes for report in reports) + download.here
        partial = FetchReport(networks=tuple(reports), complete=False)
        lab.progress(done // STEP, max(done, sum(sizes.values())) // STEP, str(download), partial)

    for report in fetch_networks(networks, lab.files.checkpoints, on_progress):
        reports.append(report)
    return FetchReport(networks=tuple(reports))


def fetch_networks(
    networks: Sequence[HubNetwork], checkpoints: Checkpoints, on_progress: Callable[[Download], None]
) -> Iterator[FetchedNetwork]:
    """Fetch published networks one after the other, and make sure that each is what it should be.

    Args:
        on_progress: called whenever bytes have come; what it raises ends the download, which can go on later.

    Raises:
        UnknownName: one is of a library that is not installed.
        BadCheckpoint: one cannot be fetched, offline for example, or does not fit.
        StorageFailed: the disk has no room for all that is to be fetched.
    """
    hub = checkpoints.fetch
    if not isinstance(hub, Hub):
        raise InvalidRequest("Nothing is fetched from the hub here.")
    for network in networks:
        resolve(network.weighted)
    absent = [network for network in networks if hub.cached(network.repository, WEIGHTS) is None]
    if absent:
        hub.check_room(", ".join(network.name for network in absent), sum(network.parameters * 4 for network in absent))
    for network in networks:
        yield _fetch(network, checkpoints, hub, on_progress)


def _fetch(
    network: HubNetwork, checkpoints: Checkpoints, hub: Hub, on_progress: Callable[[Download], None]
) -> FetchedNetwork:
    download = Download(network, 0, network.parameters * 4)
    began = monotonic()

    def came(here: int, size: int, fetched: int) -> None:
        download.here, download.size, download.fetched = here, size, fetched
        download.seconds = monotonic() - began
        on_progress(download)

    path = replace(hub, on_progress=came)(network.repository, WEIGHTS)
    report = describe(network.weighted, checkpoints).load
    assert path is not None and report is not None  # else describe has said what is missing
    size = path.stat().st_size
    download.here = download.size = size
    on_progress(download)
    return FetchedNetwork(
        name=network.weighted.name,
        repository=network.repository,
        licence=network.licence,
        revision=report.revision,
        bytes=size,
        fetched_bytes=download.fetched,
        seconds=round(download.seconds, 3),
        tensors=report.loaded,
    )
