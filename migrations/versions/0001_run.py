"""The tool's schema: one row per run."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0001"
down_revision = None

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.run (
  run INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  mode VARCHAR(16) NOT NULL COMMENT 'apply, undo',
  status VARCHAR(16) NOT NULL COMMENT 'applied, rolled_back, failed, undone',
  started DATETIME(6) NOT NULL COMMENT 'UTC',
  ended DATETIME(6) NULL COMMENT 'UTC',
  account VARCHAR(255) NOT NULL COMMENT 'who ran it, as the server knows the account',
  tool_version VARCHAR(32) NOT NULL,
  export_name VARCHAR(1024) NULL,
  export_bytes BIGINT UNSIGNED NULL,
  export_sha256 BINARY(32) NULL,
  settings JSON NULL COMMENT 'without secrets',
  report LONGTEXT NULL COMMENT 'JSON: counts, refusals, warnings',
  KEY (started)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='ispyb-sync: runs'
"""

change = Table("run", CREATE)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
