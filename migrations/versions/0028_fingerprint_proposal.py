"""The tool's schema: the proposal that a document became, for --skip-verified."""

from sync.migrate.ddl import OwnColumn, run_down, run_up

revision = "0028"
down_revision = "0027"

change = OwnColumn("fingerprint", "proposal_id", "INT UNSIGNED NULL COMMENT 'proposalId in ISPyB'")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
