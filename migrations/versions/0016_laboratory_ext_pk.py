"""Index Laboratory (laboratoryExtPk): the external key at ESRF and in py-ispyb."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0016"
down_revision = "0015"

change = Index("Laboratory", ("laboratoryExtPk",))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
