"""The Hugging Face hub: published checkpoints, fetched once and then found in a cache.

Only safetensors and their ``config.json`` are ever asked for. An interrupted download goes on where it stopped. The
client library is optional: ``pip install 'attention-lab[hub]'``.
"""

import hashlib
import importlib
import re
import socket
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from attention.errors import BadCheckpoint, first_line
from attention.storage.base import check_room

LARGEST_BYTES = 1 << 30
"""A checkpoint larger than this is not fetched; ResNet-152 has a quarter of it."""

SHA256 = re.compile(r"[0-9a-f]{64}")

TORCHVISION: dict[str, str] = {
    "ResNet18_Weights.IMAGENET1K_V1": "timm/resnet18.tv_in1k",
    "ResNet34_Weights.IMAGENET1K_V1": "timm/resnet34.tv_in1k",
    "ResNet50_Weights.IMAGENET1K_V1": "timm/resnet50.tv_in1k",
    "ResNet50_Weights.IMAGENET1K_V2": "timm/resnet50.tv2_in1k",
    "ResNet101_Weights.IMAGENET1K_V1": "timm/resnet101.tv_in1k",
    "ResNet101_Weights.IMAGENET1K_V2": "timm/resnet101.tv2_in1k",
    "ResNet152_Weights.IMAGENET1K_V1": "timm/resnet152.tv_in1k",
    "ResNet152_Weights.IMAGENET1K_V2": "timm/resnet152.tv2_in1k",
    "ResNeXt50_32X4D_Weights.IMAGENET1K_V1": "timm/resnext50_32x4d.tv_in1k",
    "ResNeXt50_32X4D_Weights.IMAGENET1K_V2": "timm/resnext50_32x4d.tv2_in1k",
    "Wide_ResNet50_2_Weights.IMAGENET1K_V1": "timm/wide_resnet50_2.tv_in1k",
    "Wide_ResNet50_2_Weights.IMAGENET1K_V2": "timm/wide_resnet50_2.tv2_in1k",
    "Wide_ResNet101_2_Weights.IMAGENET1K_V1": "timm/wide_resnet101_2.tv_in1k",
    "Wide_ResNet101_2_Weights.IMAGENET1K_V2": "timm/wide_resnet101_2.tv2_in1k",
}
"""torchvision's names -> the repositories that hold the same weights as safetensors."""


ANOTHER_MACHINE = (
    "On a machine with a network: attention-lab fetch NAME --data FOLDER; then copy FOLDER/hub into the data folder "
    "here."
)

REACHED_WITHIN_S = 3.0
"""Seconds that a connection to the hub may take; after them the hub counts as out of reach."""

CATALOGUE_WAITS_S = 0.5
"""Seconds that the list of networks waits for such a connection; until it is known, the hub counts as in reach."""

REACHED_AGAIN_AFTER_S = 20.0
"""Seconds after which a connection to the hub is tried again."""


@dataclass(frozen=True)
class Hub:
    """Fetches a file of a repository: from the cache if it is there, over the network otherwise.

    A file that is in the cache is not asked for again, so a repository's ``main`` stays as it was first seen.

    Args:
        cache: folder of the cache; None is the one that all programs of this user share.
        owners: whose repositories may be fetched; None is everybody's.
        offline: whether the network is left alone.
        on_progress: called as bytes come, with those of the file that are here, its size, and those that came now; what
            it raises ends the download, which goes on from there the next time.
    """

    cache: Path | None = None
    owners: tuple[str, ...] | None = None
    offline: bool = False
    on_progress: Callable[[int, int, int], None] | None = field(default=None, compare=False)

    def __call__(self, repository: str, file: str, revision: str | None = None) -> Path | None:
        """Where the file lies on this machine; None if the repository has no such file.

        Raises:
            BadCheckpoint: it cannot be fetched, and why.
        """
        owner = repository.partition("/")[0]
        if self.owners is not None and owner not in self.owners:
            raise BadCheckpoint(f"{repository!r} is not fetched here: repositories of {', '.join(self.owners)} are.")
        client = hub_client()
        cached = client.try_to_load_from_cache(repository, file, cache_dir=self.cache, revision=revision)
        if isinstance(cached, str):
            return Path(cached)
        if cached is not None:  # known not to be there
            return None
        if self.offline or client.constants.HF_HUB_OFFLINE:
            raise BadCheckpoint(
                f"{file} of {repository!r} is not in the cache, and the network is not used here. Fetch it where there "
                f"is one: hf download {repository} {file}."
            )
        return self._fetch(client, repository, file, revision)

    def cached(self, repository: str, file: str, revision: str | None = None) -> Path | None:
        """Where a file lies that was fetched before; None if it was not, or the client is not installed."""
        try:
            client = hub_client()
        except BadCheckpoint:
            return None
        cached = client.try_to_load_from_cache(repository, file, cache_dir=self.cache, revision=revision)
        return Path(cached) if isinstance(cached, str) else None

    def obstacle(self) -> str | None:
        """Why nothing can be fetched here, as a sentence; None if nothing is known to be in the way."""
        try:
            client = hub_client()
        except BadCheckpoint as error:
            return str(error)
        if self.offline or client.constants.HF_HUB_OFFLINE:
            return f"This service uses no network (HF_HUB_OFFLINE). {ANOTHER_MACHINE}"
        away = unreachable(client.constants.ENDPOINT, CATALOGUE_WAITS_S)
        return away and f"{away} {ANOTHER_MACHINE}"

    def check_room(self, what: str, size: int) -> None:
        """Say before anything is fetched that the disk has no room for it.

        Raises:
            StorageFailed: it has not.
        """
        check_room(self.cache or Path.home(), what, size)

    def _fetch(self, client: Any, repository: str, file: str, revision: str | None) -> Path | None:
        if away := unreachable(client.constants.ENDPOINT):
            raise BadCheckpoint(f"{file} of {repository!r} cannot be fetched now: {away}")
        errors = client.errors
        web = errors.HfHubHTTPError.__bases__  # among them the HTTP library's error, whichever library the client uses
        try:
            about = client.get_hf_file_metadata(client.hf_hub_url(repository, file, revision=revision))
            if about.size is not None and about.size > LARGEST_BYTES:
                raise BadCheckpoint(
                    f"{file} of {repository!r} has {about.size:,} bytes; at most {LARGEST_BYTES:,} are fetched."
                )
            self.check_room(f"{file} of {repository!r}", about.size or 0)
            if about.size and SHA256.fullmatch(about.etag or ""):
                self._download(client, repository, file, revision, about)
            return Path(client.hf_hub_download(repository, file, revision=revision, cache_dir=self.cache))
        except errors.LocalEntryNotFoundError as error:
            raise BadCheckpoint(f"{file} of {repository!r} cannot be fetched now: {first_line(error)}.") from error
        except errors.EntryNotFoundError:
            return None
        except errors.GatedRepoError as error:
            raise BadCheckpoint(
                f"The repository {repository!r} is gated: ask its owner for access, then log in with 'hf auth login'."
            ) from error
        except errors.RepositoryNotFoundError as error:
            raise BadCheckpoint(f"There is no repository {repository!r} on the hub that can be read here.") from error
        except errors.RevisionNotFoundError as error:
            raise BadCheckpoint(f"The repository {repository!r} has no revision {revision!r}.") from error
        except (*web, OSError, ValueError) as error:
            raise BadCheckpoint(f"{file} of {repository!r} cannot be fetched: {first_line(error)}.") from error

    def _download(self, client: Any, repository: str, file: str, revision: str | None, about: Any) -> None:
        """Put a large file where the client looks for it, from where an earlier try stopped.

        The client itself goes on after a connection broke, and begins anew after its process ended.

        Raises:
            BadCheckpoint: it came with another checksum; what came is deleted.
        """
        details = importlib.import_module("huggingface_hub.file_download")
        cache = self.cache or Path(client.constants.HF_HUB_CACHE)
        blob = cache / details.repo_folder_name(repo_id=repository, repo_type="model") / "blobs" / about.etag
        part = blob.with_suffix(".part")
        blob.parent.mkdir(parents=True, exist_ok=True)
        with details.WeakFileLock(blob.with_suffix(".lock")):
            if blob.exists():
                return
            with part.open("ab") as stream:
                if stream.tell() < about.size:
                    details.http_get(
                        client.hf_hub_url(repository, file, revision=revision),
                        stream,
                        resume_size=stream.tell(),
                        headers=client.utils.build_hf_headers(),
                        expected_size=about.size,
                        tqdm_class=_progress_bar(self.on_progress) if self.on_progress is not None else None,
                    )
            _check(part, about.etag, f"{file} of {repository!r}")
            part.replace(blob)


def _check(path: Path, expected: str, what: str) -> None:
    """Raise BadCheckpoint unless a fetched file has the hub's checksum; large files have their SHA-256 as ETag.

    Raises:
        BadCheckpoint: it has another one; it is deleted.
    """
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != expected:
        path.unlink()
        raise BadCheckpoint(
            f"{what} came with the checksum {digest[:12]}, and the hub says {expected[:12]}: it was damaged on the "
            "way, and deleted. Fetch it again."
        )


def _progress_bar(on_progress: Callable[[int, int, int], None]) -> type[Any]:
    """A progress bar as the client's downloads take one, that shows nothing and tells how far they are."""
    base: Any = importlib.import_module("tqdm").tqdm

    def begin(bar: Any, *args: Any, **options: Any) -> None:
        base.__init__(bar, *args, **{**options, "disable": True})
        bar.before = bar.n
        bar.update(0)

    def update(bar: Any, n: float | None = 1) -> None:
        bar.n += n or 0
        on_progress(int(bar.n), int(bar.total or 0), max(0, int(bar.n - bar.before)))

    return type("Progress", (base,), {"__init__": begin, "update": update})


def unreachable(endpoint: str, wait_s: float = REACHED_WITHIN_S) -> str | None:
    """Say, in a sentence, that the hub takes no connection from this machine; None if it does, or is not known to not.

    The hub's client tries again for half a minute before it gives up. Behind a proxy nothing is tried.

    Args:
        endpoint: address of the hub, such as https://huggingface.co.
        wait_s: seconds to wait for a connection.
    """
    address = urlsplit(endpoint)
    host = address.hostname or ""
    if {address.scheme, "all"} & getproxies().keys() and not proxy_bypass(host):
        return None
    port = address.port or (80 if address.scheme == "http" else 443)
    reached = _connection(host, port, int(monotonic() / REACHED_AGAIN_AFTER_S))
    try:
        return None if reached.result(wait_s) else f"{host} cannot be reached from this machine now."
    except TimeoutError:  # to look up a name knows no time limit
        return f"{host} does not answer this machine now." if wait_s >= REACHED_WITHIN_S else None


@lru_cache(maxsize=4)
def _connection(host: str, port: int, period: int) -> "Future[bool]":
    """Whether a host takes connections, asked once in a period, in a thread."""
    reached: Future[bool] = Future()

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=REACHED_WITHIN_S).close()
            reached.set_result(True)
        except OSError:
            reached.set_result(False)

    Thread(target=connect, daemon=True).start()
    return reached


def hub_client() -> Any:
    """Import the client library of the hub.

    Raises:
        BadCheckpoint: it is not installed.
    """
    try:
        client = importlib.import_module("huggingface_hub")
        importlib.import_module("huggingface_hub.errors")
        importlib.import_module("huggingface_hub.constants")
    except ImportError as error:
        raise BadCheckpoint(
            "The hub needs the package huggingface-hub: pip install 'attention-lab[hub]'. "
            "A local file does not: weights=file:NAME."
        ) from error
    return client
