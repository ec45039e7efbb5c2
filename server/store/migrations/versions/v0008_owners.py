"""Which keys own what is stored; what is here already has no owner, and is the operator's."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Upgrade the tables to this version."""
    op.create_table(
        "owners",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("owner", sa.String(8), primary_key=True),
        sa.Column("called", sa.String(255), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.create_index("ix_owners_owner", "owners", ["kind", "owner"])


def downgrade() -> None:
    """Downgrade the tables to the version before."""
    op.drop_table("owners")
