"""Alembic for this database without its ini file, and the next step written from what the tables say."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from server.store.database import connect
from server.store.migrations import FOLDER, revisions


def config(connection: Connection) -> Config:
    """What Alembic's commands are told: where the steps are, and the connection they shall use."""
    chosen = Config(attributes={"connection": connection})
    chosen.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    chosen.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
    return chosen


def make(message: str) -> Path:
    """Write the step from the newest form to what the tables say now; it wants to be read before it is kept."""
    engine = connect("sqlite://")
    number = f"{int(revisions()[-1]) + 1:04}"
    with engine.connect() as connection:
        command.upgrade(config(connection), "head")  # step by step, for `migrate` makes the tables as they are now
        script = command.revision(config(connection), message, autogenerate=True, rev_id=number)
    engine.dispose()
    if script is None or isinstance(script, list):
        raise ValueError("Alembic wrote no single step.")
    return Path(script.path)
