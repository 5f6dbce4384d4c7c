"""The tool's schema: columns that were NOT NULL before the upgrade."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0003"
down_revision = "0002"

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.relaxed_column (
  table_name VARCHAR(64) NOT NULL,
  column_name VARCHAR(64) NOT NULL,
  PRIMARY KEY (table_name, column_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
COMMENT='ispyb-sync: columns that were NOT NULL'
"""

change = Table("relaxed_column", CREATE, keeps_history=False)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
