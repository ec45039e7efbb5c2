"""Crops, flips and colours: drawn by seed and epoch alone, and computed as a naive loop over pixels computes them."""

import colorsys
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from attention.reports.parts.recipes import RECIPE_NOTES, RECIPES
from attention.spec import Recipe
from attention.training.augmentation import LUMA, Draw, augmented, draws, padded, recoloured

WINDOW = Recipe(batch_size=16, crop_padding=1)
RESIZED = Recipe(batch_size=16, crop_padding=0, least_crop_area=0.25, colour_jitter=0.3)
COUNT, SIZE = 120, 8


def photos(count: int = COUNT, size: int = SIZE, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, size, size, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize("recipe", [WINDOW, RESIZED])
def test_what_is_drawn_depends_on_seed_and_epoch_alone(recipe: Recipe) -> None:
    def drawn(seed: int, epoch: int) -> Tensor:
        return torch.cat(
            [augmented(padded(photos(), recipe), draw) for draw in draws(COUNT, SIZE, recipe, seed, epoch)]
        )

    torch.manual_seed(123)
    first = drawn(0, 0)
    torch.manual_seed(321)
    assert len(first) == 112 and torch.equal(first, drawn(0, 0))
    assert not torch.equal(first, drawn(0, 1)) and not torch.equal(first, drawn(1, 0))


def test_an_epoch_has_every_image_at_most_once_and_all_steps_are_whole() -> None:
    orders = [draw.order for draw in draws(COUNT, SIZE, RESIZED, 0, 0)]
    assert [len(order) for order in orders] == [16] * 7 and len(set(torch.cat(orders).tolist())) == 112


def test_new_fields_change_nothing_that_was_drawn_before_them() -> None:
    """A recipe of before has the same order, windows and flips as ever: restated from the generator."""
    generator = torch.Generator().manual_seed(5 * 1_000_003 + 2)
    order = torch.randperm(COUNT, generator=generator)
    top, left = torch.randint(3, (2, COUNT), generator=generator)
    mirrored = torch.rand(COUNT, generator=generator) < 0.5
    draw = next(draws(COUNT, SIZE, WINDOW, 5, 2))
    assert torch.equal(draw.order, order[:16]) and draw.colours is None
    for place, number in enumerate(order[:16].tolist()):
        columns = range(int(left[number]), int(left[number]) + SIZE)
        assert draw.rows[place].tolist() == list(range(int(top[number]), int(top[number]) + SIZE))
        assert draw.columns[place].tolist() == list(reversed(columns) if mirrored[number] else columns)


def test_a_window_is_cut_from_the_padded_image_straight_or_mirrored() -> None:
    images = photos()
    draw = next(draws(COUNT, SIZE, WINDOW, 0, 0))
    batch = augmented(padded(images, WINDOW), draw)
    assert batch.dtype == torch.uint8
    for number, made in zip(draw.order.tolist(), batch, strict=True):
        bordered = np.pad(images[number].numpy(), ((1, 1), (1, 1), (0, 0)))
        windows = [bordered[y : y + SIZE, x : x + SIZE] for y in range(3) for x in range(3)]
        assert any(np.array_equal(made.numpy(), way) for one in windows for way in (one, one[:, ::-1]))


def read_between(image: np.ndarray, y: float, x: float) -> np.ndarray:
    """Bilinear interpolation at one place, its edge pixels going on for ever."""
    above, left = math.floor(y), math.floor(x)
    total = np.zeros(3)
    for row, column in ((above, left), (above, left + 1), (above + 1, left), (above + 1, left + 1)):
        weight = (1 - abs(y - row)) * (1 - abs(x - column))
        total += weight * image[min(row, len(image) - 1), min(column, len(image) - 1)]
    return total


def test_a_resized_crop_is_bilinear_interpolation_pixel_by_pixel() -> None:
    images = photos()
    draw = next(draws(COUNT, SIZE, RESIZED, 3, 1))._replace(colours=None)
    batch = augmented(images, draw).numpy()
    for place, number in enumerate(draw.order.tolist()):
        for y, row in enumerate(draw.rows[place].tolist()):
            for x, column in enumerate(draw.columns[place].tolist()):
                wanted = read_between(images[number].numpy().astype(float), row, column)
                np.testing.assert_allclose(batch[place, y, x], wanted, atol=1e-3)


def test_a_resized_crop_agrees_with_torchs_own_sampling_of_the_same_box() -> None:
    """`grid_sample` of the box's affine map, its border repeated, is the same picture computed by other code."""
    size = 12
    images = photos(size=size)
    draw = next(draws(COUNT, size, RESIZED, 0, 0))._replace(colours=None)
    x, y = draw.columns[:, None, :].expand(-1, size, -1), draw.rows[:, :, None].expand(-1, -1, size)
    grid = torch.stack((x, y), 3)  # (B, S, S, 2), in pixels
    grid = (2 * grid + 1) / size - 1
    chosen = images[draw.order].permute(0, 3, 1, 2).float()
    wanted = F.grid_sample(chosen, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(augmented(images, draw), wanted.permute(0, 2, 3, 1), rtol=0, atol=0.01)


def test_boxes_have_the_areas_ratios_and_places_that_the_recipe_says() -> None:
    count, size = 20_000, 32
    recipe = RESIZED.model_copy(update={"batch_size": count, "flip": False})
    draw = next(draws(count, size, recipe, 0, 0))
    # Between two pixels in the middle nothing is cut at the border; a step there is the box's share of the side.
    step_y = (draw.rows[:, size // 2] - draw.rows[:, size // 2 - 1]).double()
    step_x = (draw.columns[:, size // 2] - draw.columns[:, size // 2 - 1]).double()
    area, ratio = step_y * step_x, step_x / step_y
    assert area.min() >= 0.25 - 1e-4 and area.max() <= 1 + 1e-4
    assert ratio.min() >= 0.75 - 1e-4 and ratio.max() <= 4 / 3 + 1e-4
    assert area.mean() == pytest.approx(0.625, abs=0.01) and ratio.log().mean() == pytest.approx(0, abs=0.01)
    small = area < 0.5  # where every ratio fits, its logarithm is uniform: its variance is (2 log 4/3)^2 / 12
    assert ratio[small].log().var().item() == pytest.approx((2 * math.log(4 / 3)) ** 2 / 12, rel=0.05)
    assert draw.rows.min() >= 0 and draw.rows.max() <= size - 1
    centre = (draw.rows[:, size // 2] + draw.rows[:, size // 2 - 1]) / 2
    assert centre.mean().item() == pytest.approx((size - 1) / 2, abs=0.15)
    assert torch.corrcoef(torch.stack((area, centre.double())))[0, 1].abs() < 0.03


def naive_recolour(image: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    def grey(pixels: np.ndarray) -> np.ndarray:
        return pixels[..., 0] * LUMA[0] + pixels[..., 1] * LUMA[1] + pixels[..., 2] * LUMA[2]

    bright = image * brightness
    middle = grey(bright).mean()
    contrasted = middle + contrast * (bright - middle)
    own = grey(contrasted)[..., None]
    return np.clip(own + saturation * (contrasted - own), 0, 255)


def test_colours_are_brightness_then_contrast_then_saturation() -> None:
    images = photos(20).float()
    factors = 1 + 0.9 * (2 * torch.rand(20, 3, generator=torch.Generator().manual_seed(0)) - 1)
    made = recoloured(images, factors).numpy()
    for image, (b, c, s), found in zip(images.double().numpy(), factors.double().tolist(), made, strict=True):
        np.testing.assert_allclose(found, naive_recolour(image, b, c, s), atol=1e-2)
    torch.testing.assert_close(recoloured(images, torch.ones(20, 3)), images)


@pytest.mark.parametrize(
    ("place", "enhance"), [(0, ImageEnhance.Brightness), (1, ImageEnhance.Contrast), (2, ImageEnhance.Color)]
)
def test_each_colour_change_is_pillows(place: int, enhance: Callable[[Image.Image], Any]) -> None:
    """Pillow rounds to whole levels (the mean grey for contrast, too), so it is met within two of 255."""
    images = photos(6, 16)
    for factor in (0.7, 1.3):
        factors = torch.ones(6, 3)
        factors[:, place] = factor
        made = recoloured(images.float(), factors).numpy()
        for image, found in zip(images.numpy(), made, strict=True):
            wanted = np.asarray(enhance(Image.fromarray(image)).enhance(factor)).astype(float)
            assert np.abs(found - wanted).max() <= 2


def test_saturation_keeps_the_hue() -> None:
    pixel = torch.tensor([120.0, 90.0, 60.0]).view(1, 1, 1, 3)
    made = recoloured(pixel, torch.tensor([[1.0, 1.0, 1.2]])).flatten().tolist()
    before, after = (colorsys.rgb_to_hsv(*(level / 255 for level in levels)) for levels in ([120, 90, 60], made))
    assert after[0] == pytest.approx(before[0], abs=1e-4) and after[1] > before[1]


def test_factors_of_colour_are_drawn_for_each_image_within_the_range() -> None:
    factors = torch.cat([draw.colours for draw in draws(4000, 4, RESIZED, 0, 0) if draw.colours is not None])
    assert factors.shape == (4000, 3) and factors.min() >= 0.7 and factors.max() <= 1.3
    assert torch.allclose(factors.mean(0), torch.ones(3), atol=0.02)
    correlations = torch.corrcoef(factors.T) - torch.eye(3)
    assert correlations.abs().max() < 0.06


def test_a_batch_does_not_depend_on_the_images_beside_it() -> None:
    images = photos(40)
    draw = next(draws(40, SIZE, RESIZED.model_copy(update={"batch_size": 37}), 0, 0))
    batch = augmented(images, draw)
    assert batch.shape == (37, SIZE, SIZE, 3) and draw.colours is not None
    for place in (0, 7, 8, 36):
        one = slice(place, place + 1)
        lone = augmented(images, Draw(draw.order[one], draw.rows[one], draw.columns[one], draw.colours[one]))
        torch.testing.assert_close(lone[0], batch[place])


def test_two_crops_at_once_are_refused_and_every_recipe_is_described() -> None:
    with pytest.raises(ValidationError, match="crops in one way"):
        Recipe(least_crop_area=0.5)
    assert RECIPE_NOTES.keys() == RECIPES.keys()
    photos_recipe = RECIPES["photos"]
    assert (photos_recipe.epochs, photos_recipe.batch_size, photos_recipe.lr) == (60, 64, 0.1)
    assert (photos_recipe.warmup, photos_recipe.weight_decay, photos_recipe.label_smoothing) == (0.2, 1e-3, 0.1)
    assert (photos_recipe.least_crop_area, photos_recipe.colour_jitter, photos_recipe.flip) == (0.25, 0.3, True)
