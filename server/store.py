"""Store: what the service remembers about its files, in SQLite or PostgreSQL through SQLAlchemy."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Engine, Integer, String, create_engine, event, func, insert, make_url, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.pool import QueuePool

from attention.errors import NotFound
from server.schemas import Image


class Base(DeclarativeBase):
    """The tables."""


class ImageRow(Base):
    """An uploaded image: what it is, and when it came last."""

    __tablename__ = "images"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    format: Mapped[str] = mapped_column(String(32))
    width: Mapped[int] = mapped_column(Integer)
    height: Mapped[int] = mapped_column(Integer)
    bytes: Mapped[int] = mapped_column(Integer)
    created: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)


_IMAGE_COLUMNS = ("id", "name", "format", "width", "height", "bytes")


class Store:
    """Rows in a database; every method is one transaction, and any thread may call it.

    Args:
        url: an SQLAlchemy URL, such as ``sqlite:///attention.db`` or ``postgresql+psycopg://user@host/name``.
    """

    def __init__(self, url: str) -> None:
        self._engine = _connect(url)
        Base.metadata.create_all(self._engine)

    def add_image(self, image: Image) -> None:
        """Remember an image; one that is known becomes the newest, under the name it has now."""
        values = {column: getattr(image, column) for column in _IMAGE_COLUMNS} | {"created": datetime.now(UTC)}
        newer = update(ImageRow).where(ImageRow.id == image.id).values(**values)
        try:
            with self._engine.begin() as connection:
                if connection.execute(newer).rowcount == 0:
                    connection.execute(insert(ImageRow).values(**values))
        except IntegrityError:  # somebody else added it in between
            with self._engine.begin() as connection:
                connection.execute(newer)

    def image(self, image_id: str) -> Image:
        """One image.

        Raises:
            NotFound: it is not here.
        """
        with self._engine.connect() as connection:
            row = connection.execute(select(*_columns()).where(ImageRow.id == image_id)).mappings().one_or_none()
        if row is None:
            raise _no_image(image_id)
        return Image.model_validate(dict(row))

    def images(self, limit: int = 1000) -> tuple[Image, ...]:
        """Images, newest first."""
        newest = select(*_columns()).order_by(ImageRow.created.desc(), ImageRow.id).limit(limit)
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

    def check(self) -> None:
        """Ask the database something; whatever is wrong with it is raised."""
        with self._engine.connect() as connection:
            connection.execute(select(func.count()).select_from(ImageRow))

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()


def _columns() -> list[Any]:
    return [getattr(ImageRow, column) for column in _IMAGE_COLUMNS]


def _no_image(image_id: str) -> NotFound:
    return NotFound(f"There is no image {image_id[:80]!r} here. Upload it first: POST /v1/images.")


def _connect(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    in_memory = parsed.database in (None, "", ":memory:")
    # A database in memory lives as long as its one connection, which the threads then share in turn.
    sizes = {"pool_size": 1, "max_overflow": 0} if in_memory else {"pool_size": 8, "max_overflow": 32}
    engine = create_engine(
        parsed, poolclass=QueuePool, connect_args={"check_same_thread": False, "timeout": 30}, **sizes
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")  # readers do not wait for the writer
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine
