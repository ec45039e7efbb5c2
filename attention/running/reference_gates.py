"""ReferenceGates: the attention weights of reference images, which an ablation puts in place of an image's own."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from attention.errors import InvalidRequest, TooLarge

MAX_ENTRIES = 64_000_000
"""Gate entries of single images that are kept at most: a quarter of a gigabyte."""


@dataclass
class ReferenceGates:
    """Gates by path, a tensor (1, ...) for each reference image; only their mean once `averaged`."""

    gates: dict[str, list[Tensor]] = field(default_factory=dict)
    image_digests: list[bytes] = field(default_factory=list)
    count: int = 0
    mean: Mapping[str, Tensor] | None = None

    @property
    def bytes(self) -> int:
        """Memory that the gates take."""
        single = (gate for entries in self.gates.values() for gate in entries)
        return sum(gate.nbytes for gate in (*single, *(self.mean or {}).values()))

    def add(self, images: Tensor, gates: Mapping[str, Tensor], average: bool) -> None:
        """Add the gates of images (B, 3, H, W); of those to be averaged only the sum is kept.

        Args:
            gates: gate path -> weights (B, ...).

        Raises:
            TooLarge: gates of single images would fill the memory.
        """
        self.count += len(images)
        for path, gate in gates.items():
            entries = self.gates.setdefault(path, [])
            if average:
                total = gate.double().sum(0, keepdim=True)
                entries[:] = [entries[0] + total] if entries else [total]
            else:
                entries += [gate[number : number + 1].clone() for number in range(len(gate))]
        if not average:
            self.image_digests += [_digest(image) for image in images]
            size = sum(gate.numel() for entries in self.gates.values() for gate in entries)
            if size > MAX_ENTRIES:
                raise TooLarge(
                    f"The gates of {self.count} reference images have {size:,} entries already; at most "
                    f"{MAX_ENTRIES:,} are kept. Name fewer images."
                )

    def averaged(self) -> "ReferenceGates":
        """Reference gates of which every image gets the mean."""
        means = {path: (total / self.count).float() for path, (total,) in self.gates.items()}
        return ReferenceGates(count=self.count, mean=means)

    def gates_for(self, image: Tensor, seed: int) -> Mapping[str, Tensor]:
        """The gates (1, ...) that are put in for an image (3, H, W): the mean, or those of another image.

        Raises:
            InvalidRequest: every reference is this image itself.
        """
        if self.mean is not None:
            return self.mean
        digest = _digest(image)
        start = int.from_bytes(hashlib.sha256(seed.to_bytes(8) + digest).digest()[:8]) % self.count
        for step in range(self.count):
            number = (start + step) % self.count
            if self.image_digests[number] != digest or self.count == 1:
                return {path: entries[number] for path, entries in self.gates.items()}
        raise InvalidRequest("All reference images are this image itself. Name others.")


NO_REFERENCES = ReferenceGates(mean={})
"""For ablations of a kind that takes nothing from other images."""


def _digest(image: Tensor) -> bytes:
    """Digest of a network's input, which tells it from others."""
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()
