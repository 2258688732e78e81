"""review verdicts"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('review_verdict',
    sa.Column('image_id', sa.Text(), nullable=False),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('image_id', name=op.f('pk_review_verdict'))
    )
    # Verdicts of rounds so far.
    op.execute(
        "INSERT INTO review_verdict (image_id, checked_at) SELECT image_id, max(checked_at) "
        "FROM review_item WHERE checked_at IS NOT NULL GROUP BY image_id"
    )


def downgrade() -> None:
    op.drop_table('review_verdict')
