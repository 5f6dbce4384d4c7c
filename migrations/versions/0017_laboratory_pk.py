"""Index Laboratory (laboratoryPk): the external key at Diamond."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0017"
down_revision = "0016"

change = Index("Laboratory", ("laboratoryPk",))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
