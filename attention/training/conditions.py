"""What can be known before a study starts: reasons not to train at all, and warnings."""

from attention.errors import InvalidRequest
from attention.spec import Recipe


def check_trainable(recipe: Recipe, images: int, data: str, what: str = "training images") -> None:
    """Return if the training images fill at least one batch, for only whole batches are trained on.

    Args:
        images: how many there are at most.
        what: what is counted, for the sentence.

    Raises:
        InvalidRequest: they do not.
    """
    if recipe.batch_size > images:
        raise InvalidRequest(
            f"The data set {data} has {images:,} {what}, which do not fill one batch of {recipe.batch_size}. "
            f"Take a batch_size of at most {images}."
        )


def unseen_images(recipe: Recipe, train_images: int) -> str | None:
    """Say that some training images are likely to be in no batch at all; None if all are seen.

    An epoch leaves out what does not fill a last batch, other images each time, so an image is left out of all epochs
    with the share that is left out to the power of the epochs.
    """
    left_out = train_images % recipe.batch_size
    unseen = train_images * (left_out / train_images) ** recipe.epochs
    if unseen < 0.5:
        return None
    return (
        f"About {unseen:,.0f} of {train_images:,} training images are never seen: {recipe.epochs} "
        f"{'epoch' if recipe.epochs == 1 else 'epochs'} of {train_images // recipe.batch_size} whole batches of "
        f"{recipe.batch_size}. Take more epochs or a smaller batch_size."
    )
