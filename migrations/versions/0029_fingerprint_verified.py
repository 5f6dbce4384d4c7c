"""The tool's schema: what the rows of a proposal were when a run last found nothing to change in them."""

from sync.migrate.ddl import OwnColumn, run_down, run_up

revision = "0029"
down_revision = "0028"

change = OwnColumn(
    "fingerprint",
    "verified",
    "BIGINT UNSIGNED NULL COMMENT 'hash of the rows of the proposal, when nothing had to be changed in them'",
)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
