"""${message[:1].upper() + message[1:].rstrip(".")}."""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Upgrade the tables to this version."""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    ${downgrades if downgrades else "pass"}
