"""Answers that were given at once; a table that the service made before it knew steps stays."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Upgrade the tables to this version."""
    op.create_table(
        "answers",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("analysis", sa.String(64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("packed", sa.Boolean(), nullable=False),
        sa.Column("report", sa.LargeBinary(), nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_answers_age", "answers", ["created", "id", "size"], if_not_exists=True)


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    op.drop_table("answers")
