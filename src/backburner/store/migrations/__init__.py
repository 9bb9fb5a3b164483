"""Alembic's folder: `versions/` holds one file per version of the tables."""
