"""The network behind LitServe, which decodes and batches in a process of its own.

pip install litserve
python -m benchmarks.load.rival_litserve VARIANT PORT
"""

import argparse
from typing import Any

import litserve  # type: ignore[import-not-found,import-untyped,unused-ignore]
import torch
from fastapi import Request

from attention.build import build
from attention.spec import Variant
from benchmarks.load.rivals import preparing

BATCH = 16
WAIT_S = 0.01
"""How long a batch is gathered."""


class Predicting(litserve.LitAPI):  # type: ignore[misc,unused-ignore]
    """The five likeliest classes of a photo in the form field ``image``."""

    def __init__(self, name: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=WAIT_S)
        self.name = name

    def setup(self, device: str) -> None:
        """Make the network."""
        variant = Variant.parse(self.name)
        self.model, self.look = build(variant).to(device), preparing(variant)

    def decode_request(self, request: Request) -> torch.Tensor:
        """The photo as the network sees it."""
        return self.look(request["image"].file.read())

    def batch(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Photos together."""
        return torch.stack(inputs)

    def predict(self, x: torch.Tensor) -> Any:
        """Classes and probabilities of a batch."""
        with torch.inference_mode():
            best = self.model(x).softmax(1).topk(5)
        return best.indices.tolist(), best.values.tolist()

    def unbatch(self, output: Any) -> list[Any]:
        """One by one again."""
        return list(zip(*output, strict=True))

    def encode_response(self, output: Any) -> dict[str, list[float]]:
        """As it goes out."""
        return {"classes": output[0], "probabilities": output[1]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("variant")
    parser.add_argument("port", type=int)
    chosen = parser.parse_args()
    server = litserve.LitServer(Predicting(chosen.variant), accelerator="cpu", healthcheck_path="/v1/ready")
    server.run(port=chosen.port, generate_client_file=False, log_level="warning")
