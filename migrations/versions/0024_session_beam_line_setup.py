"""BLSession.beamLineSetupId may be NULL: the User Portal knows no set-ups."""

from sync.migrate.ddl import Relaxed, run_down, run_up

revision = "0024"
down_revision = "0023"

change = Relaxed("BLSession", "beamLineSetupId")


def upgrade() -> None:
    run_up(change)


def downgrade() -> None:
    run_down(change)
