"""The Hugging Face hub: published checkpoints, fetched once and then found in a cache.

Only safetensors and their ``config.json`` are ever asked for. The client library is optional:
``pip install 'attention-lab[hub]'``.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention.errors import BadCheckpoint

LARGEST_BYTES = 1 << 30
"""A checkpoint larger than this is not fetched; ResNet-152 has a quarter of it."""

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
            return Path(client.hf_hub_download(repository, file, revision=revision, cache_dir=self.cache))
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
