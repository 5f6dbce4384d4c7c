"""Index Proposal (proposalCode, proposalNumber)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0023"
down_revision = "0022"

change = Index("Proposal", ("proposalCode", "proposalNumber"))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
