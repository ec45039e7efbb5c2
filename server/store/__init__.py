"""Store: what the service remembers, images, jobs and reports, in SQLite or PostgreSQL through SQLAlchemy."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, func, insert, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError

from attention.errors import NotFound
from attention.schemas import Image
from server.store.database import connect, newest_first
from server.store.jobs import JobTable
from server.store.migrations import migrate
from server.store.ownership import ASKER, OwnerTable, add_owner, as_seen
from server.store.reports import AnswerTable
from server.store.tables import AnswerRow, ImageRow, JobRow

_IMAGE_COLUMNS = ("id", "name", "format", "width", "height", "bytes", "note", "created")
PHOTOS = "photos"
_CREATED, _ID = ImageRow.__table__.c.created, ImageRow.__table__.c.id


class Store:
    """Rows in a database; every method is one transaction, and any thread may call it.

    Args:
        url: an SQLAlchemy URL, such as ``sqlite:///attention.db`` or ``postgresql+psycopg://user@host/name``.

    Raises:
        StorageFailed: the database cannot be reached, or a newer version of the service has been at it.
    """

    def __init__(self, url: str) -> None:
        self._engine = connect(url)
        migrate(self._engine)
        self.jobs = JobTable(self._engine)
        self.answers = AnswerTable(self._engine)
        self.owners = OwnerTable(self._engine)

    def claim_image(self, image_id: str, name: str) -> None:
        """Let the key that asks own an image, before its bytes are kept: then nobody else's leaving takes them away."""
        if (asker := ASKER.get()) is not None:
            with self.owners.transaction() as connection:
                add_owner(connection, PHOTOS, image_id, asker, exists().where(ImageRow.id == image_id), name)

    def add_image(self, image: Image) -> Image:
        """Remember an image; one that is known becomes the newest, under the name it has now."""
        image = image.model_copy(update={"created": datetime.now(UTC)})
        values = {column: getattr(image, column) for column in _IMAGE_COLUMNS}
        newer = update(ImageRow).where(ImageRow.id == image.id)
        # The name and the time of a key's own copy are in its row as owner; to others nothing has changed.
        newer = newer.values(bytes=image.bytes) if ASKER.get() else newer.values(**values)
        try:
            with self._engine.begin() as connection:
                if connection.execute(newer).rowcount == 0:
                    connection.execute(insert(ImageRow).values(**values))
        except IntegrityError:  # another process added it in between
            with self._engine.begin() as connection:
                connection.execute(newer)
        return image

    def rename_image(self, image_id: str, name: str) -> Image:
        """Give an image another name.

        Raises:
            NotFound: it is not here.
        """
        if asker := ASKER.get():
            self.owners.call(PHOTOS, image_id, asker, name)
        else:
            with self._engine.begin() as connection:
                connection.execute(update(ImageRow).where(ImageRow.id == image_id).values(name=name))
        return self.image(image_id)

    def image(self, image_id: str) -> Image:
        """What is known of one image, by id.

        Raises:
            NotFound: it is not here.
        """
        query, _ = _images()
        with self._engine.connect() as connection:
            row = connection.execute(query.where(ImageRow.id == image_id)).mappings().one_or_none()
        if row is None:
            raise no_image(image_id)
        return Image.model_validate(dict(row))

    def images(self, limit: int = 1000, after: tuple[datetime, str] | None = None) -> tuple[Image, ...]:
        """Images, newest first, after a place in this order."""
        query, created = _images()
        newest = newest_first(query, created, _ID, limit, after)
        with self._engine.connect() as connection:
            return tuple(Image.model_validate(dict(row)) for row in connection.execute(newest).mappings())

    def erase_image(self, connection: Connection, image_id: str) -> None:
        """Forget an image inside a transaction, if it is here."""
        connection.execute(delete_from(ImageRow).where(ImageRow.id == image_id))

    def holdings(self) -> str:
        """What there is, in words: ``3 images, 2 answers, 1 job queued, 4 jobs done``."""
        counted: list[tuple[int, str]] = []
        with self._engine.connect() as connection:
            for table, name in ((ImageRow, "image"), (AnswerRow, "answer")):
                counted.append((connection.execute(select(func.count()).select_from(table)).scalar_one(), name))
            states = select(func.count(), JobRow.state).group_by(JobRow.state).order_by(JobRow.state)
            jobs = [(count, state) for count, state in connection.execute(states)]
        phrases = [f"{count} {name}{'s' if count != 1 else ''}" for count, name in counted]
        return ", ".join([*phrases, *(f"{count} job{'s' if count != 1 else ''} {state}" for count, state in jobs)])

    def check(self) -> None:
        """Ask the database something; whatever is wrong with it is raised."""
        with self._engine.connect() as connection:
            connection.execute(select(func.count()).select_from(ImageRow))

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _images() -> tuple[Select[Any], ColumnElement[datetime]]:
    """A query for the images that the key that asks may see, and the column with their time."""
    columns = [getattr(ImageRow, column) for column in _IMAGE_COLUMNS]
    if not (asker := ASKER.get()):
        return select(*columns), _CREATED
    shown = as_seen(PHOTOS, asker)
    named = {"name": func.coalesce(shown.c.called, ImageRow.name).label("name"), "created": shown.c.created}
    query = select(*(named.get(column.key, column) for column in columns)).join(shown, shown.c.name == ImageRow.id)
    return query, shown.c.created


def no_image(image_id: str) -> NotFound:
    """Make the NotFound error of an image with an unknown id."""
    return NotFound(f"There is no image {image_id[:80]!r} here. Upload it first: POST /v1/images.")
