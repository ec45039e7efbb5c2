"""Store: what the service remembers, images, jobs and reports, in SQLite or PostgreSQL through SQLAlchemy."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError

from attention.errors import NotFound
from attention.schemas import Image
from server.store.database import connect, newest_first
from server.store.jobs import JobTable
from server.store.migrations import migrate
from server.store.reports import AnswerTable
from server.store.tables import AnswerRow, ImageRow, JobRow

_IMAGE_COLUMNS = ("id", "name", "format", "width", "height", "bytes", "note", "created")
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

    def add_image(self, image: Image) -> Image:
        """Remember an image; one that is known becomes the newest, under the name it has now."""
        image = image.model_copy(update={"created": datetime.now(UTC)})
        values = {column: getattr(image, column) for column in _IMAGE_COLUMNS}
        newer = update(ImageRow).where(ImageRow.id == image.id).values(**values)
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
        renamed = update(ImageRow).where(ImageRow.id == image_id).values(name=name)
        with self._engine.begin() as connection:
            connection.execute(renamed)
        return self.image(image_id)

    def image(self, image_id: str) -> Image:
        """What is known of one image, by id.

        Raises:
            NotFound: it is not here.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(*_columns()).where(ImageRow.id == image_id)).mappings().one_or_none()
        if row is None:
            raise _no_image(image_id)
        return Image.model_validate(dict(row))

    def images(self, limit: int = 1000, after: tuple[datetime, str] | None = None) -> tuple[Image, ...]:
        """Images, newest first, after a place in this order."""
        newest = newest_first(select(*_columns()), _CREATED, _ID, limit, after)
        with self._engine.connect() as connection:
            return tuple(Image.model_validate(dict(row)) for row in connection.execute(newest).mappings())

    def delete_image(self, image_id: str) -> None:
        """Forget an image.

        Raises:
            NotFound: it is not here.
        """
        with self._engine.begin() as connection:
            if connection.execute(delete_from(ImageRow).where(ImageRow.id == image_id)).rowcount == 0:
                raise _no_image(image_id)

    def holdings(self) -> str:
        """What there is, in words: ``3 images, 2 answers, 1 job queued, 4 jobs done``."""
        counted: list[tuple[int, str]] = []
        with self._engine.connect() as connection:
            for table, name in ((ImageRow, "image"), (AnswerRow, "answer")):
                counted.append((connection.execute(select(func.count()).select_from(table)).scalar_one(), name))
            states = select(func.count(), JobRow.state).group_by(JobRow.state).order_by(JobRow.state)
            jobs = [(count, state) for count, state in connection.execute(states)]
        told = [f"{count} {name}{'s' if count != 1 else ''}" for count, name in counted]
        return ", ".join([*told, *(f"{count} job{'s' if count != 1 else ''} {state}" for count, state in jobs)])

    def check(self) -> None:
        """Ask the database something; whatever is wrong with it is raised."""
        with self._engine.connect() as connection:
            connection.execute(select(func.count()).select_from(ImageRow))

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _columns() -> list[Any]:
    return [getattr(ImageRow, column) for column in _IMAGE_COLUMNS]


def _no_image(image_id: str) -> NotFound:
    return NotFound(f"There is no image {image_id[:80]!r} here. Upload it first: POST /v1/images.")
