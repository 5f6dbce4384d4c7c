"""The tool's schema: the lease of the one run that may write, where the server's own locks hold on one node only."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0026"
down_revision = "0025"

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.lease (
  number TINYINT UNSIGNED NOT NULL PRIMARY KEY COMMENT 'always 1',
  holder VARCHAR(36) NOT NULL,
  account VARCHAR(255) NOT NULL,
  node VARCHAR(300) NOT NULL COMMENT 'host and port of the server',
  since DATETIME(6) NOT NULL COMMENT 'UTC',
  until DATETIME(6) NOT NULL COMMENT 'UTC; then anyone may take it',
  run INT UNSIGNED NULL COMMENT 'the last run that was written'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='ispyb-sync: one run at a time in a cluster'
"""

change = Table("lease", CREATE, keeps_history=False)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
