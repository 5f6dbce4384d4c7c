"""The tool's schema: which ISPyB it serves. `migrate` writes that down behind the last revision."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0031"
down_revision = "0030"

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.served (
  number TINYINT UNSIGNED NOT NULL PRIMARY KEY COMMENT 'always 1',
  server VARCHAR(320) NOT NULL COMMENT 'host:port, or cluster and its UUID',
  schema_name VARCHAR(64) NOT NULL,
  account VARCHAR(255) NOT NULL COMMENT 'who wrote it down',
  since DATETIME(6) NOT NULL COMMENT 'UTC'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='ispyb-sync: the ISPyB that this schema serves'
"""

change = Table("served", CREATE, keeps_history=False)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
