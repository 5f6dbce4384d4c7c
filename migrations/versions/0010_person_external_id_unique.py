"""UNIQUE index Person (externalId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0010"
down_revision = "0009"

change = Index("Person", ("externalId",), unique="duplicate_external_id")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
