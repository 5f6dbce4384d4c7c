"""Column Laboratory.externalId."""

from sync.migrate.ddl import ExternalId, run_down, run_up

revision = "0005"
down_revision = "0004"

change = ExternalId("Laboratory")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
