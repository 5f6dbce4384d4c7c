"""Column Protein.externalId."""

from sync.migrate.ddl import ExternalId, run_down, run_up

revision = "0008"
down_revision = "0007"

change = ExternalId("Protein")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
