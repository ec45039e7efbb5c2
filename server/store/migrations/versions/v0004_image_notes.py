"""What was done to the pixels of a photo when they were read."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Upgrade the tables to this version."""
    op.add_column("images", sa.Column("note", sa.Text(), nullable=True))


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    with op.batch_alter_table("images") as images:
        images.drop_column("note")
