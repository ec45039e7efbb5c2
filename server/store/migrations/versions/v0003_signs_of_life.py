"""Which process works on a job, and how often it has shown that it lives."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Upgrade the tables to this version."""
    op.add_column("jobs", sa.Column("owner", sa.String(255), nullable=True))
    op.add_column("jobs", sa.Column("beats", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("beats")
        jobs.drop_column("owner")
