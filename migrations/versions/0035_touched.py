"""The tool's schema: which proposals a run touched."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0035"
down_revision = "0034"

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.touched (
  proposal VARCHAR(120) NOT NULL COMMENT 'CODE-NUMBER, as in the table change',
  run INT UNSIGNED NOT NULL,
  PRIMARY KEY (proposal, run),
  KEY (run)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
COMMENT='ispyb-sync: proposals that runs changed or refused, or looked at among few'
"""

change = Table("touched", CREATE)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
