"""The tool's schema: who asked for a run."""

from sync.migrate.ddl import OwnColumn, run_down, run_up

revision = "0034"
down_revision = "0033"

change = OwnColumn(
    "run",
    "actor",
    "VARCHAR(255) NULL COMMENT 'who asked: login or subject of a token, event; else the account'",
)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
