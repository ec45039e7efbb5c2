"""How far any attempt of a job came, and how often its worker died since."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COUNTS = ("furthest", "crashes", "interruptions")


def upgrade() -> None:
    """Upgrade the tables to this version; what a job had done counts as its furthest step."""
    for name in COUNTS:
        op.add_column("jobs", sa.Column(name, sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE jobs SET furthest = done")


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    with op.batch_alter_table("jobs") as jobs:
        for name in COUNTS:
            jobs.drop_column(name)
