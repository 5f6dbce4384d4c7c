"""Index ProposalHasPerson (proposalId, personId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0020"
down_revision = "0019"

change = Index("ProposalHasPerson", ("proposalId", "personId"), foreign_key=True)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
