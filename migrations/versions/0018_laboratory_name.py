"""Index Laboratory (name, city, country)."""

from sync.migrate.ddl import Index, run_down, run_up

revision = "0018"
down_revision = "0017"

change = Index("Laboratory", ("name", "city", "country"))


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
