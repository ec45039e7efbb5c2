"""The recipes that have a name, and what each is for."""

from collections.abc import Iterable
from typing import Any

from attention.spec import Recipe

RECIPES: dict[str, Recipe] = {
    "quick": Recipe(),
    "standard": Recipe(epochs=40),
    "paper-like": Recipe(epochs=164, lr=0.1, warmup=0.0, weight_decay=1e-4, label_smoothing=0.0),
    "photos": Recipe(
        epochs=60,
        batch_size=64,
        lr=0.1,
        warmup=0.2,
        weight_decay=1e-3,
        crop_padding=0,
        least_crop_area=0.25,
        colour_jitter=0.3,
    ),
}
"""Recipes by name."""

RECIPE_NOTES: dict[str, str] = {
    "quick": "A first look at images of 32 pixels: eight epochs, one cycle of the rate.",
    "standard": "The same as quick with 40 epochs.",
    "paper-like": "The CIFAR-10 runs of He et al. (Deep Residual Learning for Image Recognition, CVPR 2016): about "
    "64,000 steps of 128 images (57,600 where a tenth of them is held out, as it is unless said otherwise), peak rate "
    "0.1, decay 1e-4, padded crops and flips. It departs from them in five "
    "things: the rate falls along half a cosine, not by tenths after 32,000 and 48,000 steps; momentum is Nesterov's; "
    "biases and normalisations are not decayed; channels are divided by their spread, not only centred; the network of "
    "110 layers has no first epoch at rate 0.01.",
    "photos": "A few thousand photos at about 96 pixels: 60 epochs of random resized crops (area 0.25 to 1, ratio 3/4 "
    "to 4/3) and flips, with brightness, contrast and saturation within 0.7 to 1.3.",
}
"""What each recipe is for, and in what one that follows a paper departs from it."""


def of_name(value: Any) -> Any:
    """The recipe of a name, or each of several; anything else as it is.

    Raises:
        ValueError: there is no recipe of that name.
    """
    if isinstance(value, list | tuple):
        return tuple(map(of_name, value))
    if not isinstance(value, str):
        return value
    if value not in RECIPES:
        raise ValueError(f"There is no recipe {value!r}. There is: {', '.join(RECIPES)}.")
    return RECIPES[value]


def by_name(recipes: Iterable[Recipe]) -> dict[str, Recipe]:
    """Recipes by their names; by their number, from 1, where they have none."""
    names = {recipe: name for name, recipe in RECIPES.items()}
    return {
        names.get(recipe, f"recipe {number}"): recipe for number, recipe in enumerate(dict.fromkeys(recipes), start=1)
    }
