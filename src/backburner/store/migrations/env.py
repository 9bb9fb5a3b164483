"""How Alembic runs here: on the connection, or for the dialect, that `versions` hands over."""

from __future__ import annotations

from alembic import context

config = context.config
schema = config.attributes["schema"]
common = {
    "version_table": schema.version_table,
    "version_table_schema": schema.name,
    "target_metadata": schema.metadata,
}

if context.is_offline_mode():
    context.configure(dialect_name=config.attributes["dialect"].name, literal_binds=True, **common)
else:
    context.configure(connection=config.attributes["connection"], **common)

with context.begin_transaction():
    context.run_migrations()
