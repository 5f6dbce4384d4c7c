"""Column LabContact.externalId."""

from sync.migrate.ddl import ExternalId, run_down, run_up

revision = "0009"
down_revision = "0008"

change = ExternalId("LabContact")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
