"""The tool's schema: fingerprints of the documents that were applied, for --skip-unchanged."""

from sync.migrate.ddl import Table, run_down, run_up

revision = "0027"
down_revision = "0026"

CREATE = """
CREATE TABLE IF NOT EXISTS ispyb_sync.fingerprint (
  label BINARY(16) NOT NULL PRIMARY KEY COMMENT 'hash of the name of a proposal',
  fingerprint BINARY(16) NOT NULL COMMENT 'hash of the document last applied without a refusal; else zeros'
) ENGINE=InnoDB COMMENT='ispyb-sync: documents as they were applied'
"""

change = Table("fingerprint", CREATE, keeps_history=False)


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
