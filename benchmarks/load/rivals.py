"""What the service is compared with: the networks without any server, and the servers that people write around them.

    python -m benchmarks.load.rivals bare VARIANT               # reads turns from standard input, see `bare`
    python -m benchmarks.load.rivals naive VARIANT PORT         # one FastAPI endpoint, a forward pass for each photo

`benchmarks.load.rival_litserve` is a third. All run the network as it is built, on photos decoded and prepared by the
same functions as the service's. Each answers a photo in the form field ``image`` with its five likeliest classes.
"""

import argparse
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from attention.spec import Variant


def bare(name: str) -> None:
    """Decoding and batched forward passes, no server: the limit.

    Each line of standard input is ``THREADS FOLDER COUNT BATCH``: photos ``FOLDER/0.jpg`` and so on are decoded and
    run on so many CPU threads. The answer is a line with the seconds that each batch took, by the clock.
    """
    from server.process import prepare_process
    from server.settings import Settings

    prepare_process(Settings())  # the same malloc as the service's

    import torch

    from attention.build import build
    from attention.spec import Variant

    variant = Variant.parse(name)
    model = build(variant).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    look = preparing(variant)
    for asked in sys.stdin:
        threads, folder, count, size = asked.split()
        torch.set_num_threads(int(threads))
        taken = []
        for start in range(0, int(count), int(size)):
            started = time.perf_counter()
            photos = []
            for number in range(start, min(start + int(size), int(count))):
                with open(f"{folder}/{number}.jpg", "rb") as file:
                    photos.append(look(file.read()))
            with torch.inference_mode():
                model(torch.stack(photos).contiguous(memory_format=torch.channels_last)).softmax(1).topk(5)
            taken.append(time.perf_counter() - started)
        print(*taken, flush=True)


def naive(name: str, port: int) -> None:
    """The endpoint that most people write: a function that is not async, an UploadFile, one forward pass a photo."""
    import torch
    import uvicorn
    from fastapi import FastAPI, UploadFile

    from attention.build import build
    from attention.spec import Variant

    variant = Variant.parse(name)
    model, look = build(variant), preparing(variant)
    app = FastAPI()

    @app.get("/v1/ready")
    def ready() -> dict[str, str]:
        return {}

    @app.post("/predict")
    def predict(image: UploadFile) -> dict[str, list[float]]:
        with torch.no_grad():
            best = model(look(image.file.read())[None]).softmax(1).topk(5)
        return {"classes": best.indices[0].tolist(), "probabilities": best.values[0].tolist()}

    uvicorn.run(app, port=port, log_level="warning")


def preparing(variant: "Variant") -> "Callable[[bytes], Tensor]":
    """What makes a network's input of a photo's bytes."""
    from attention.data.images import decode
    from attention.data.preprocessing import preprocess
    from attention.network import describe

    how = describe(variant).preprocess
    return lambda photo: preprocess(decode(photo), how)


def main() -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", choices=("bare", "naive"))
    parser.add_argument("variant")
    parser.add_argument("port", type=int, nargs="?", default=0)
    chosen = parser.parse_args()
    if chosen.which == "bare":
        bare(chosen.variant)
    else:
        naive(chosen.variant, chosen.port)


if __name__ == "__main__":
    main()
