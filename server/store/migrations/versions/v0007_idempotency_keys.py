"""What a client calls its wish for a job, so that it can ask for it twice and get one."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Upgrade the tables to this version."""
    op.add_column("jobs", sa.Column("asked_as", sa.String(64), nullable=True))
    op.create_index("ix_jobs_asked_as", "jobs", ["asked_as"], unique=True)


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    op.drop_index("ix_jobs_asked_as", "jobs")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("asked_as")
