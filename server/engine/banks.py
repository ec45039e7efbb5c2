"""The gates of reference images: their mean, or each image's own, from which an ablation puts some in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from attention.errors import InvalidRequest, TooLarge

MAX_ENTRIES = 64_000_000
"""Gate entries that a bank of single images holds at most: a quarter of a gigabyte."""


@dataclass
class Bank:
    """Gates by path, a tensor (1, ...) for each reference image, and their mean instead once `averaged`."""

    gates: dict[str, list[Tensor]] = field(default_factory=dict)
    prints: list[bytes] = field(default_factory=list)
    count: int = 0
    mean: Mapping[str, Tensor] | None = None

    def add(self, images: Tensor, gates: Mapping[str, Tensor], average: bool) -> None:
        """Take in the gates of images (B, 3, H, W); of those to be averaged only the sum is kept.

        Raises:
            TooLarge: gates of single images would fill the memory.
        """
        self.count += len(images)
        for path, gate in gates.items():
            kept = self.gates.setdefault(path, [])
            if average:
                total = gate.double().sum(0, keepdim=True)
                kept[:] = [kept[0] + total] if kept else [total]
            else:
                kept += [gate[number : number + 1].clone() for number in range(len(gate))]
        if not average:
            self.prints += [_print(image) for image in images]
            entries = sum(gate.numel() for kept in self.gates.values() for gate in kept)
            if entries > MAX_ENTRIES:
                raise TooLarge(
                    f"The gates of {self.count} reference images have {entries:,} entries already; at most "
                    f"{MAX_ENTRIES:,} are kept. Name fewer images."
                )

    def averaged(self) -> "Bank":
        """A bank that gives the mean of all to every image."""
        means = {path: (total / self.count).float() for path, (total,) in self.gates.items()}
        return Bank(count=self.count, mean=means)

    def gates_for(self, image: Tensor, seed: int) -> Mapping[str, Tensor]:
        """The gates (1, ...) that are put in for an image (3, H, W): the mean, or those of another image.

        Raises:
            InvalidRequest: every reference is this image itself.
        """
        if self.mean is not None:
            return self.mean
        own = _print(image)
        start = int.from_bytes(hashlib.sha256(seed.to_bytes(8) + own).digest()[:8]) % self.count
        for step in range(self.count):
            number = (start + step) % self.count
            if self.prints[number] != own or self.count == 1:
                return {path: kept[number] for path, kept in self.gates.items()}
        raise InvalidRequest("All reference images are this image itself. Name others.")


NO_BANK = Bank(mean={})


def _print(image: Tensor) -> bytes:
    """What tells one network's input from another."""
    return hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest()
