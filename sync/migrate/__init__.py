"""The migrations, run by Alembic, and what their revisions are made of."""
