"""Photos: samples and uploads as one collection; what they are in the store, their bytes in files."""

import io
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

from PIL import Image as PillowImage
from sqlalchemy import Connection

from attention.data.files import Files, image_id, samples
from attention.data.images import ImageFacts, decode, inspect
from attention.data.preprocessing import in_srgb
from attention.errors import AttentionError, BadImage, InvalidRequest, NotFound, listing
from attention.schemas import Image
from server.store import Store, no_image
from server.store.ownership import ASKER
from server.stored.kinds import StoredKind, Thing
from server.stored.references import names_photo, texts

THUMBNAIL_QUALITY = 85

NAMED = 5
"""Missing photos that a sentence names; its faults name each."""


class Photos(StoredKind):
    """Photos that requests may name by id; the samples come with the project and stay."""

    name = "photos"
    id_field = "id"

    def __init__(self, files: Files, store: Store, keep_days: float) -> None:
        super().__init__(store.jobs, store.owners, keep_days)
        self._files = files
        self._store = store

    def add(self, name: str, data: bytes) -> Image:
        """Keep a photo, once it has been decoded to be sure of it.

        Raises:
            BadImage, TooLarge: the bytes are not a photo we take.
        """
        facts = inspect(data)
        if (sample := self.samples.get(image_id(data))) is not None:
            return sample
        self._store.claim_image(image_id(data), name)
        return self._store.add_image(_describe(self._files.put_image(data), name, facts, data))

    def growth(self, photos: Iterable[bytes]) -> int:
        """Bytes by which keeping photos adds to what the key that asks owns; those that it keeps already add none."""
        if not (asker := ASKER.get()):
            return 0
        new = {image_id(data): len(data) for data in photos}
        return sum(size for name, size in new.items() if name not in self.samples and not self.owned_by(name, asker))

    def list(self, limit: int, after: tuple[datetime, str] | None = None) -> tuple[Image, ...]:
        """Samples first, then uploads, newest first: so many, after a place in this order."""
        samples = list(self.samples.values())
        if after is not None:
            names = list(self.samples)
            samples = samples[names.index(after[1]) + 1 :] if after[1] in names else []
        if len(samples) >= limit:
            return tuple(samples[:limit])
        uploads = self._store.images(limit - len(samples), None if after and after[1] in self.samples else after)
        return (*samples, *uploads)

    def image(self, image_id: str) -> Image:
        """What is known of one photo.

        Raises:
            NotFound: it is not here.
        """
        return self.samples.get(image_id) or self._store.image(image_id)

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

    def check(self, question: Any, brought: Collection[str] = ()) -> None:
        """Return if the photos that a question names are here; asked before each answer, also of a remembered one.

        Args:
            question: as JSON.
            brought: ids of photos that came along with it.

        Raises:
            MissingPhotos: some are not here, all of which it names.
        """
        named = {place: name for place, field, text in texts(question) if (name := self.names(field, text))}
        here = {name: name in brought or self._files.has_image(name) for name in set(named.values())}
        if ASKER.get():
            here = {name: there and (name in brought or self.sees(name)) for name, there in here.items()}
        if not all(here.values()):
            raise MissingPhotos({place: name for place, name in named.items() if not here[name]})

    def check_readable(self, question: Any, brought: Mapping[str, bytes]) -> None:
        """Return if every photo that came along with a question can be read; asked when one of several could not.

        Args:
            question: as JSON.
            brought: bytes of photos by id.

        Raises:
            UnreadablePhotos: some cannot, all of which it names.
        """
        sentences: dict[str, str] = {}
        for name, data in brought.items():
            try:
                decode(data)
            except AttentionError as error:
                sentences[name] = str(error)
        if sentences:
            raise UnreadablePhotos({place: sentences[name] for place, _, name in texts(question) if name in sentences})

    def rename(self, image_id: str, new_name: str) -> Image:
        """Give one upload another file name.

        Raises:
            NotFound: it is not here.
            InvalidRequest: it is a sample, which stays as it is.
        """
        self.check_owned(image_id)
        return self._store.rename_image(image_id, new_name)

    def missing(self, name: str) -> NotFound:
        """The error of a photo that is not here."""
        return no_image(name)

    def sees(self, name: str) -> bool:
        """Whether the key that asks may see a photo: a sample, its own upload, or a shared one."""
        return name in self.samples or super().sees(name)

    def things(self) -> Iterator[Thing]:
        """Every upload, also one that is known only by half."""
        return (Thing.of(file.last, file) for file in self._files.images())

    def names(self, field: str, text: str) -> str | None:
        """The photo that a question names in a field of photos."""
        return text if names_photo(field, text) else None

    def erase(self, connection: Connection, name: str) -> None:
        """Forget one upload, also one that is known only by half; of a sample, a copy that was uploaded."""
        self._files.remove_image(name)  # first, for on a full disk it makes the room that the database needs
        self._store.erase_image(connection, name)

    def check_owned(self, name: str) -> None:
        """Return if a photo is an upload that is here, and the key that asks may change it.

        Raises:
            NotFound, NotOwned: it is not here, or belongs to another key.
            InvalidRequest: it is a sample, which stays as it is.
        """
        if name in self.samples:
            raise InvalidRequest("This photo belongs to the sample gallery, which comes with the service and stays.")
        self._store.image(name)
        super().check_owned(name)

    @cached_property
    def samples(self) -> dict[str, Image]:
        """The sample gallery, by id."""
        found = {}
        for sample in samples():
            data = sample.path.read_bytes()
            image = _describe(sample.id, sample.name, inspect(data), data)
            found[sample.id] = image.model_copy(
                update={"sample": True, "title": sample.title, "credit": sample.credit, "label": sample.label}
            )
        return found


class MissingPhotos(NotFound):
    """Photos that a question names and that are not here: deleted, or never uploaded.

    Args:
        places: the id of each, by where in the question it stands, such as ``images[2]``.
    """

    def __init__(self, places: Mapping[str, str]) -> None:
        names = tuple(dict.fromkeys(places.values()))
        listed = listing([repr(name[:80]) for name in names], NAMED)
        super().__init__(
            f"There is no image {listed} here. Upload it first: POST /v1/images."
            if len(names) == 1
            else f"{len(names)} images are not here: {listed}. Upload them first: POST /v1/images."
        )
        self._places = dict(places)

    def faults(self) -> list[dict[str, Any]]:
        """Each place in the question that names a photo which is not here."""
        return [
            {"field": place, "message": f"There is no image {name!r} here.", "kind": "missing_image"}
            for place, name in self._places.items()
        ]


class UnreadablePhotos(BadImage):
    """Photos that came along with a question and cannot be read.

    Args:
        sentences: what is wrong with each, by where in the question it stands, such as ``images[2]``.
    """

    def __init__(self, sentences: Mapping[str, str]) -> None:
        place, sentence = next(iter(sentences.items()))
        more = f" ({len(sentences) - 1} more cannot be read; see errors.)" if len(sentences) > 1 else ""
        super().__init__(f"Photo {place}: {sentence}{more}")
        self._sentences = dict(sentences)

    def faults(self) -> list[dict[str, Any]]:
        """Each photo that cannot be read, and why."""
        return [
            {"field": place, "message": sentence, "kind": "unreadable_image"}
            for place, sentence in self._sentences.items()
        ]


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
