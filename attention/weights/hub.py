"""The Hugging Face hub: published checkpoints, fetched once and then found in a cache.

Only safetensors and their ``config.json`` are ever asked for. An interrupted download goes on where it stopped. The
client library is optional: ``pip install 'attention-lab[hub]'``.
"""

import hashlib
import importlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention.errors import BadCheckpoint, StorageFailed

LARGEST_BYTES = 1 << 30
"""A checkpoint larger than this is not fetched; ResNet-152 has a quarter of it."""

KEEP_FREE_BYTES = 256 << 20
"""What a download leaves free on the disk."""

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


@dataclass(frozen=True)
class Hub:
    """Fetches a file of a repository: from the cache if it is there, over the network otherwise.

    A file that is in the cache is not asked for again, so a repository's ``main`` stays as it was first seen.

    Args:
        cache: folder of the cache; None is the one that all programs of this user share.
        owners: whose repositories may be fetched; None is everybody's.
        offline: whether the network is left alone.
    """

    cache: Path | None = None
    owners: tuple[str, ...] | None = None
    offline: bool = False

    def __call__(self, repository: str, file: str, revision: str | None = None) -> Path | None:
        """Where the file lies on this machine; None if the repository has no such file.

        Raises:
            BadCheckpoint: it cannot be fetched, and why.
        """
        owner = repository.partition("/")[0]
        if self.owners is not None and owner not in self.owners:
            raise BadCheckpoint(f"{repository!r} is not fetched here: repositories of {', '.join(self.owners)} are.")
        client = _client()
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

    def _fetch(self, client: Any, repository: str, file: str, revision: str | None) -> Path | None:
        errors = client.errors
        web = errors.HfHubHTTPError.__bases__  # among them the HTTP library's error, whichever library the client uses
        try:
            about = client.get_hf_file_metadata(client.hf_hub_url(repository, file, revision=revision))
            if about.size is not None and about.size > LARGEST_BYTES:
                raise BadCheckpoint(
                    f"{file} of {repository!r} has {about.size:,} bytes; at most {LARGEST_BYTES:,} are fetched."
                )
            self._check_room(file, repository, about.size or 0)
            path = Path(client.hf_hub_download(repository, file, revision=revision, cache_dir=self.cache))
            return _checked(path, about.etag, file, repository)
        except errors.LocalEntryNotFoundError as error:
            raise BadCheckpoint(f"{file} of {repository!r} cannot be fetched now: {_first_line(error)}") from error
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
            raise BadCheckpoint(f"{file} of {repository!r} cannot be fetched: {_first_line(error)}") from error

    def _check_room(self, file: str, repository: str, size: int) -> None:
        """Say before anything is fetched that the disk has no room for it.

        Raises:
            StorageFailed: it has not.
        """
        folder = self.cache or Path.home()
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if size > free - KEEP_FREE_BYTES:
            raise StorageFailed(
                f"{file} of {repository!r} has {size / 1e6:,.0f} MB, and the disk it would be kept on has "
                f"{free / 1e6:,.0f} MB left. Make room there, and ask again."
            )


def _checked(path: Path, etag: str | None, file: str, repository: str) -> Path:
    """A fetched file, if it has the checksum that the hub says; large files have their SHA-256 as ETag.

    Raises:
        BadCheckpoint: it has another one; it is deleted.
    """
    if etag is None or not re.fullmatch(r"[0-9a-f]{64}", etag):
        return path
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != etag:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise BadCheckpoint(
            f"{file} of {repository!r} came with the checksum {digest[:12]}, and the hub says {etag[:12]}: it was "
            "damaged on the way, and deleted. Fetch it again."
        )
    return path


def _client() -> Any:
    try:
        client = importlib.import_module("huggingface_hub")
        importlib.import_module("huggingface_hub.errors")
        importlib.import_module("huggingface_hub.constants")
    except ImportError as error:
        raise BadCheckpoint(
            "Weights from the hub need the package huggingface-hub: pip install 'attention-lab[hub]'. "
            "A local file does not: weights=file:NAME."
        ) from error
    return client


def _first_line(error: Exception) -> str:
    """What an error says, in one line that ends with a full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".:") + "."
