"""The tables as they changed over time: every database, new or old, is brought to the newest form when it is opened.

    python -m server.store.migrations "what changes"        write the next step from what server/store/tables.py says

A step is one file in `versions/`, in Alembic's form (https://alembic.sqlalchemy.org). A database remembers in its table
``alembic_version`` how far it is. One without that table was made before there were steps, and the first ones leave
alone what they find there; or it is empty, and is made at once as it should be.
"""

import logging
from pathlib import Path

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    insert,
    inspect,
    text,
)

from attention.errors import StorageFailed
from server.store.database import alone
from server.store.tables import Base, ImageRow

log = logging.getLogger(__name__)

FOLDER = Path(__file__).parent


def revisions() -> tuple[str, ...]:
    """The steps there are, oldest first: ``v0002_signs_of_life.py`` is 0002."""
    return tuple(sorted(path.stem[1:5] for path in (FOLDER / "versions").glob("v[0-9]*.py")))


def revision(connection: Connection) -> str | None:
    """How far a database is; None if it is new, or from before there were steps."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def migrate(engine: Engine) -> None:
    """Bring a database to the newest form: all of it or, if anything fails, nothing. Of many at once, one does it.

    Raises:
        StorageFailed: it is newer than this version of the service.
    """
    with engine.connect() as connection:
        if _known(revision(connection)) == revisions()[-1]:
            return
        connection.rollback()
        if connection.dialect.name == "sqlite":
            # Tables that change may be made anew, which shall not look like deleting what refers to them.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver itself would begin with the first INSERT only
        try:
            _upgrade(connection)
            connection.commit()
        finally:
            connection.rollback()
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA foreign_keys=ON")


def _upgrade(connection: Connection) -> None:
    alone(connection, "migrations")
    before = _known(revision(connection))  # again: who held the lock may have done it
    newest = revisions()[-1]
    if not {"alembic_version", ImageRow.__tablename__} & set(inspect(connection).get_table_names()):
        _make(connection, newest)
        log.info("The database was empty; its tables are made, at revision %s.", newest)
    elif before != newest:
        from alembic import command  # here: to import it takes longer than to make all tables

        from server.store.migrations.making import config

        command.upgrade(config(connection), "head")
        log.info("The database was at revision %s, and is at %s now.", before or "0", newest)


def _make(connection: Connection, newest: str) -> None:
    """The tables as all steps together would leave them; a test compares."""
    Base.metadata.create_all(connection)
    remembered = Table("alembic_version", MetaData(), Column("version_num", String(32), nullable=False))
    remembered.append_constraint(PrimaryKeyConstraint("version_num", name="alembic_version_pkc"))
    remembered.create(connection)
    connection.execute(insert(remembered).values(version_num=newest))


def _known(at: str | None) -> str | None:
    if at is not None and at not in revisions():
        raise StorageFailed(
            f"A newer version of the service has been at this database: it is at revision {at}, and this version knows "
            f"those up to {revisions()[-1]}. Start the newer version, or put back a backup from before."
        )
    return at
