"""The tool's schema: what each run changed in ISPyB."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0002"
down_revision = "0001"

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.change (
  run INT UNSIGNED NOT NULL,
  entity VARCHAR(32) NOT NULL,
  number INT UNSIGNED NOT NULL COMMENT 'order within the entity',
  target_id BIGINT UNSIGNED NULL COMMENT 'primary key of the row; of a session_has_person, its sessionId',
  second_id BIGINT UNSIGNED NULL COMMENT 'personId of a session_has_person',
  action ENUM('insert', 'update', 'delete') NOT NULL,
  row_key TEXT NULL COMMENT 'what names the row to people',
  proposal TEXT NULL COMMENT 'proposal of the first document that names it',
  fields LONGTEXT NULL COMMENT 'JSON objects, joined by commas: column, [old, new]',
  PRIMARY KEY (run, entity, number),
  KEY (entity, target_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='ispyb-sync: changes of runs'
"""

change = Table("change", CREATE)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
