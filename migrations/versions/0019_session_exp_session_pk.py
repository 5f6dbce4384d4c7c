"""Index BLSession (expSessionPk), which Diamond has not."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0019"
down_revision = "0018"

change = Index("BLSession", ("expSessionPk",))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
