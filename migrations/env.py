"""Alembic's way in: `ispyb-sync migrate` and `alembic upgrade head` both come through here."""

from sync.migrate.ddl.run import from_alembic

from_alembic()
