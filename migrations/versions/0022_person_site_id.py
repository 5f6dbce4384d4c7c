"""Index Person (siteId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0022"
down_revision = "0021"

change = Index("Person", ("siteId",))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
