"""The tool's schema: by which key a changed row was found."""

from sync.migrate.ddl import OwnColumn, run_down, run_up

revision = "0025"
down_revision = "0024"

change = OwnColumn(
    "change", "matched_by", "VARCHAR(32) NULL COMMENT 'key by which an updated row was found' AFTER action"
)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
