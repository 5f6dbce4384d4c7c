"""UNIQUE index BLSession (externalId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0012"
down_revision = "0011"

change = Index("BLSession", ("externalId",), unique="duplicate_external_id")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
