"""Column Person.externalId."""

from sync.migrate.ddl import ExternalId, run_down, run_up

revision = "0004"
down_revision = "0003"

change = ExternalId("Person")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
