"""Index Person (login)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0021"
down_revision = "0020"

change = Index("Person", ("login",))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
