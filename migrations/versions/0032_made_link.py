"""The tool's schema: links that runs made which history no longer holds, by their ids alone."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0032"
down_revision = "0031"

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.made_link (
  entity VARCHAR(32) NOT NULL COMMENT 'proposal_has_person, session_has_person',
  target_id BIGINT UNSIGNED NOT NULL COMMENT 'id of a proposal_has_person; of a session_has_person, its sessionId',
  second_id BIGINT UNSIGNED NOT NULL COMMENT 'personId of a session_has_person; else 0',
  PRIMARY KEY (entity, target_id, second_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
COMMENT='ispyb-sync: links that purged runs made, for --prune owned'
"""

change = Table("made_link", CREATE)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
