"""How many bytes the report of a job has."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Upgrade the tables to this version; reports that are there are measured, a letter beyond ASCII as one byte."""
    op.add_column("reports", sa.Column("size", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE reports SET size = length(json)")


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    with op.batch_alter_table("reports") as reports:
        reports.drop_column("size")
