"""Grants of route jobs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from backburner.store.migrations.builder import LONG_TEXT, Builder

revision = "1002"
down_revision = "1001"


def upgrade() -> None:
    schema = context.config.attributes["schema"]
    tables = Builder(schema.name, schema.prefix, schema.dialect)
    tables.table(
        "grants",
        tables.id("job", primary_key=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("nonce", sa.String(64), nullable=False),
        tables.time("used_at"),
        sa.Column("cookies", LONG_TEXT),
        tables.time("until"),
    )
    tables.index("grants", "until", "until", where="until IS NOT NULL")
