"""The tool's schema: what started a run."""

from sync.migrate.ddl import OwnColumn, run_down, run_up

revision = "0033"
down_revision = "0032"

change = OwnColumn(
    "run",
    "`trigger`",
    "VARCHAR(16) CHARACTER SET ascii NOT NULL DEFAULT 'command' COMMENT 'trigger: command, http, broker'",
)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
