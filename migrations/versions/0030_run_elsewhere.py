"""The tool's schema: runs of another ISPyB, from times when two could share a tool schema."""

from sync.migrate.ddl import OwnColumn, run_down, run_up

revision = "0030"
down_revision = "0029"

change = OwnColumn(
    "run",
    "elsewhere",
    "BOOLEAN NOT NULL DEFAULT FALSE COMMENT 'on another ISPyB: its ids mean nothing in the one that is served'",
)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
