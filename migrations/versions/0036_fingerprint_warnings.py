"""The tool's schema: the warnings of a document, repeated while the document need not be examined."""

from sync.migrate.ddl import OwnColumn, run_down, run_up

revision = "0036"
down_revision = "0035"

change = OwnColumn(
    "fingerprint",
    "warnings",
    "LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL COMMENT 'JSON: what is odd in the document, yet taken'",
)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
