"""Index Protein (proposalId, externalId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0015"
down_revision = "0014"

change = Index("Protein", ("proposalId", "externalId"), foreign_key=True)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
