"""Photos: samples and uploads as one collection; what they are in the store, their bytes in files."""

import io
from contextlib import suppress
from functools import cached_property

from PIL import Image as PillowImage

from attention.data.files import Files, samples
from attention.data.images import ImageFacts, inspect
from attention.data.preprocessing import in_srgb
from attention.errors import InvalidRequest, NotFound
from attention.schemas import Image, Images
from server.store import Store

THUMBNAIL_QUALITY = 85


class Photos:
    """Photos that requests may name by id. Every method blocks, so async code calls them in a thread."""

    def __init__(self, files: Files, store: Store) -> None:
        self._files = files
        self._store = store

    def add(self, name: str, data: bytes) -> Image:
        """Keep a photo, once it has been decoded to be sure of it.

        Raises:
            BadImage, TooLarge: the bytes are not a photo we take.
        """
        facts = inspect(data)
        image = _describe(self._files.put_image(data), name, facts, data)
        if image.id in self._samples:
            return self._samples[image.id]
        self._store.add_image(image)
        return image

    def list(self) -> Images:
        """Samples first, then uploads, newest first."""
        return Images(images=(*self._samples.values(), *self._store.images()))

    def image(self, image_id: str) -> Image:
        """What is known of one photo.

        Raises:
            NotFound: it is not here.
        """
        return self._samples.get(image_id) or self._store.image(image_id)

    def file(self, image_id: str) -> tuple[bytes, str]:
        """The bytes of one photo as they came, with their media type.

        Raises:
            NotFound: it is not here.
        """
        media_type = PillowImage.MIME.get(self.image(image_id).format, "application/octet-stream")
        return self._files.image_bytes(image_id), media_type

    def thumbnail(self, image_id: str, size: int) -> bytes:
        """One photo as a JPEG whose longer side is at most ``size`` pixels.

        Raises:
            NotFound: it is not here.
        """
        self.image(image_id)
        small = self._files.image(image_id)
        small.thumbnail((size, size))
        small = in_srgb(small)
        small.info.clear()  # what its file said besides, such as a comment, is not for the thumbnail
        out = io.BytesIO()
        small.save(out, "JPEG", quality=THUMBNAIL_QUALITY)
        return out.getvalue()

    def delete(self, image_id: str) -> None:
        """Forget one upload: what is known of it, and its bytes.

        Raises:
            NotFound: it is not here.
            InvalidRequest: it is a sample, which stays.
        """
        if image_id in self._samples:
            raise InvalidRequest("This photo belongs to the sample gallery, which comes with the service and stays.")
        self._store.image(image_id)
        self._files.remove_image(image_id)  # first, for on a full disk it makes the room that the database needs
        self._store.delete_image(image_id)

    def uploaded_before(self, moment: float) -> tuple[str, ...]:
        """Ids of uploads that came, the last time they did, before a moment (seconds since 1970)."""
        return tuple(self._files.images_before(moment))

    def forget(self, image_id: str) -> None:
        """Forget one upload, also one that is known only by half; of a sample, a copy that was uploaded."""
        self._files.remove_image(image_id)
        with suppress(NotFound):
            self._store.delete_image(image_id)

    @cached_property
    def _samples(self) -> dict[str, Image]:
        found = {}
        for sample in samples():
            data = sample.path.read_bytes()
            image = _describe(sample.id, sample.name, inspect(data), data)
            found[sample.id] = image.model_copy(
                update={"sample": True, "title": sample.title, "credit": sample.credit, "label": sample.label}
            )
        return found


def _describe(image_id: str, name: str, facts: ImageFacts, data: bytes) -> Image:
    return Image(
        id=image_id,
        name=name,
        format=facts.format,
        width=facts.width,
        height=facts.height,
        bytes=len(data),
        note=" ".join(facts.notes) or None,
    )
