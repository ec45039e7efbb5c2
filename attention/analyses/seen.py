"""What is left of a photo when a network sees it: its input, as a picture?"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attention.analyses import analyses
from attention.analysis import AnyLab
from attention.data.images import png
from attention.data.preprocessing import crop, preprocess
from attention.network import as_asked
from attention.reports.seen import SeenPicture, SeenReport, SeenRequest
from attention.spec import Preprocess


@analyses.register("seen")
def seen(request: SeenRequest, lab: AnyLab) -> SeenReport:
    """What is left of a photo when a network sees it: its input, as a picture?"""
    photo, ways = lab.files.image(request.image), dict[Preprocess, list[str]]()
    for network in (as_asked(lab.describe(variant), request) for variant in request.variants):
        ways.setdefault(network.preprocess, []).append(network.name)
    return SeenReport(
        image=request.image,
        pictures=tuple(
            SeenPicture(
                networks=tuple(names),
                preprocess=how,
                crop=crop(photo.width, photo.height, how),
                png_base64=png(pixels(preprocess(photo, how), how)),
            )
            for how, names in ways.items()
        ),
    )


def pixels(image: Tensor, how: Preprocess) -> NDArray[np.uint8]:
    """A network's input (3, H, W) as pixels (H, W, 3): normalisation undone, rounded to 8 bits."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (how.mean, how.std))
    levels = (image * std + mean).mul(255).round().clamp(0, 255).to(torch.uint8)  # (3, H, W)
    return levels.permute(1, 2, 0).numpy()
