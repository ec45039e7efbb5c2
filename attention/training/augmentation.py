"""What is drawn for each image of each epoch, by seed and epoch alone, and what a batch becomes by it.

Variants of one seed see the same crops, flips and colours in the same order, and a resumed run sees those that it
would have seen. The recipe says how much is drawn; with its defaults no pixel is computed anew, only moved.
"""

import math
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from attention.spec import Recipe

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in an image's brightness (ITU-R BT.601)."""

CACHED = 8
"""Images computed at a time on a CPU: what they pass through stays in its cache, which halves the time."""


class Draw(NamedTuple):
    """A step's images and what becomes of each.

    Attributes:
        order: numbers of the images, (B,).
        rows, columns: where each row and column of the result lies in the image, in pixels, (B, S); whole numbers for a
            window of the padded image, others for a crop that is resized.
        colours: factors of brightness, contrast and saturation, (B, 3); None leaves colours alone.
    """

    order: Tensor
    rows: Tensor
    columns: Tensor
    colours: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "Draw":
        """Apply a function to every tensor of the draw, as bringing it to a device or taking some rows."""
        colours = None if self.colours is None else change(self.colours)
        return Draw(change(self.order), change(self.rows), change(self.columns), colours)


def padded(images: Tensor, recipe: Recipe) -> Tensor:
    """Add the black pixels around (N, S, S, 3) that a window is cropped from."""
    p = recipe.crop_padding
    return F.pad(images, (0, 0, p, p, p, p)) if p else images


def draws(count: int, size: int, recipe: Recipe, seed: int, epoch: int) -> Iterator[Draw]:
    """Draw an epoch, a batch at a time; images that do not fill a batch are left out, others each epoch.

    Args:
        count: training images.
        size: height and width of the images, pixels.
    """
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order = torch.randperm(count, generator=generator)
    top, left = torch.randint(2 * recipe.crop_padding + 1, (2, count), generator=generator)
    flipped = torch.rand(count, generator=generator) < (0.5 if recipe.flip else 0.0)
    window = torch.arange(size)
    rows, columns = top[:, None] + window, left[:, None] + window  # (N, S)
    if recipe.least_crop_area < 1:
        rows, columns = _resized_crops(count, size, recipe, generator)
    columns = torch.where(flipped[:, None], columns.flip(1), columns)
    colours = None
    if recipe.colour_jitter:
        colours = 1 + recipe.colour_jitter * (2 * torch.rand(count, 3, generator=generator) - 1)
    for start in range(0, count - recipe.batch_size + 1, recipe.batch_size):
        chosen = order[start : start + recipe.batch_size]
        yield Draw(chosen, rows[chosen], columns[chosen], None if colours is None else colours[chosen])


def _resized_crops(count: int, size: int, recipe: Recipe, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Where the rows and columns of random boxes lie, resized to the whole image: (N, S) each, in pixels.

    A box has a uniform share of the area, a uniform logarithm of width by height as far as the image is large enough,
    and a uniform place. A box is never larger than the image, so a resized crop is never smaller than its source
    and needs no smoothing.
    """
    area, ratio, y, x = torch.rand(4, count, generator=generator)
    area = recipe.least_crop_area + (1 - recipe.least_crop_area) * area
    widest = (-area.log()).clamp(max=math.log(recipe.crop_ratio))
    ratio = ((2 * ratio - 1) * widest).exp()  # width by height
    height, width = (area / ratio).sqrt().clamp(max=1), (area * ratio).sqrt().clamp(max=1)  # shares of the side
    middle = (torch.arange(size) + 0.5) / size  # of each pixel of the result, 0..1

    def places(side: Tensor, place: Tensor) -> Tensor:
        start = (1 - side) * place
        return (size * (start[:, None] + side[:, None] * middle) - 0.5).clamp(0, size - 1)

    return places(height, y), places(width, x)


def augmented(images: Tensor, draw: Draw) -> Tensor:
    """Make a step's batch (B, S, S, 3), 0..255, of all images (N, S, S, 3): uint8, or float32 if computed anew."""
    if not draw.rows.is_floating_point() and draw.colours is None:
        return images[draw.order[:, None, None], draw.rows[:, :, None], draw.columns[:, None, :]]
    if images.is_cuda:
        return _computed(images, draw)
    count, size = draw.rows.shape
    batch = torch.empty(count, size, size, 3)
    for start in range(0, count, CACHED):
        piece = slice(start, start + CACHED)
        batch[piece] = _computed(images, draw.each(itemgetter(piece)))
    return batch


def _computed(images: Tensor, draw: Draw) -> Tensor:
    """Crop, resize and recolour images: (B, S, S, 3) in float32."""
    if draw.rows.is_floating_point():
        batch = _interpolated(images, draw)
    else:
        batch = images[draw.order[:, None, None], draw.rows[:, :, None], draw.columns[:, None, :]].float()
    return batch if draw.colours is None else recoloured(batch, draw.colours)


def _interpolated(images: Tensor, draw: Draw) -> Tensor:
    """Read (B, S, S, 3) between pixels, bilinearly: rows first, then columns."""
    last = images.shape[1] - 1
    above, left = draw.rows.long(), draw.columns.long()  # (B, S)
    below, right = (above + 1).clamp(max=last), (left + 1).clamp(max=last)
    down, across = draw.rows - above, draw.columns - left
    image = draw.order[:, None]
    rows = images[image, above].float().lerp_(images[image, below].float(), down[:, :, None, None])  # (B, S, W, 3)
    batch, height, width, _ = rows.shape
    begins = torch.arange(batch * height, device=rows.device).view(batch, height, 1) * width
    pixels = rows.view(-1, 3)
    near, far = (
        pixels.index_select(0, (begins + column[:, None, :]).flatten()).view(batch, height, -1, 3)
        for column in (left, right)
    )
    return near.lerp_(far, across[:, None, :, None])  # (B, S, S, 3)


def recoloured(batch: Tensor, colours: Tensor) -> Tensor:
    """Scale brightness, then contrast about the image's mean grey, then saturation about each pixel's grey.

    Values are cut to 0..255 once, at the end, so all three are one linear function of a pixel and its grey.

    Args:
        batch: (B, S, S, 3), 0..255.
        colours: factors of brightness, contrast and saturation, (B, 3); 1 changes nothing.
    """
    brightness, contrast, saturation = colours.to(batch.dtype)[:, :, None, None, None].unbind(1)  # (B, 1, 1, 1) each
    luma = torch.cat([batch.new_full((1,), share) for share in LUMA])  # without a copy from the CPU, which would wait
    grey = (batch @ luma).unsqueeze(3)  # (B, S, S, 1)
    offset = brightness * (1 - contrast) * grey.mean((1, 2), keepdim=True)  # (B, 1, 1, 1)
    shared = grey.mul_(brightness * contrast * (1 - saturation)).add_(offset)
    return (batch * (brightness * contrast * saturation)).add_(shared).clamp_(0, 255)
