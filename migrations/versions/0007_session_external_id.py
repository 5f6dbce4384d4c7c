"""Column BLSession.externalId."""

from sync.migrate.ddl import ExternalId, run_down, run_up

revision = "0007"
down_revision = "0006"

change = ExternalId("BLSession")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
