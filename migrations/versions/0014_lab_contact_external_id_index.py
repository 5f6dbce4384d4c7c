"""Index LabContact (externalId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0014"
down_revision = "0013"

change = Index("LabContact", ("externalId",))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
