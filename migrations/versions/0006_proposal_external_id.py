"""Column Proposal.externalId."""

from sync.migrate.ddl import ExternalId, run_down, run_up

revision = "0006"
down_revision = "0005"

change = ExternalId("Proposal")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
