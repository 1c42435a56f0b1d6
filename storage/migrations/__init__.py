"""Alembic's home: ``versions/`` holds one file per schema change, named by its number."""
