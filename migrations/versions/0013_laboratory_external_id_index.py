"""Index Laboratory (externalId)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0013"
down_revision = "0012"

change = Index("Laboratory", ("externalId",))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
