"""Alembic runs this file for each of its commands, with the connection that `making.config` hands over."""

from typing import Literal

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.types import TypeDecorator

from server.store.tables import Base


def plain_types(kind: str, item: object, autogenerate: object) -> str | Literal[False]:
    """Types of our own as those they are in the database, so that a step does not change when the service does."""
    return f"sa.{item.impl!r}" if kind == "type" and isinstance(item, TypeDecorator) else False


connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite changes a column by making its table anew
    render_item=plain_types,
)
context.run_migrations()
