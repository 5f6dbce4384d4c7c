"""UNIQUE index Proposal (externalId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0011"
down_revision = "0010"

change = Index("Proposal", ("externalId",), unique="duplicate_external_id")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
