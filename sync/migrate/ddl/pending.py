"""Which changes are still to be made on a live database: what `migrate` does there, and what it leaves alone."""

from collections.abc import Iterable, Sequence

from alembic.runtime.migration import MigrationContext, RevisionStep

from sync.database import rights
from sync.database.connection import Ispyb
from sync.migrate.ddl.change import Change, in_schema
from sync.model.errors import DatabaseError

_OWN, _ON_ISPYB = ("SELECT", "CREATE"), ("ALTER",)
"""What any change needs, at the least, of the tool's own schema and on a table of ISPyB."""


def pending(ispyb: Ispyb, changes: Iterable[Change]) -> list[bool]:
    """For each change, in its order, whether it is still to be made here."""
    conditions = [in_schema(change.needed(), ispyb.tool_schema) for change in changes]
    if not conditions:
        return []
    columns = ",\n".join(f"{condition} AS c{place}" for place, condition in enumerate(conditions))
    return [bool(found) for found in ispyb.connection.exec_driver_sql(f"SELECT {columns}").one()]


def note(ispyb: Ispyb, migration: MigrationContext, steps: Sequence[RevisionStep]) -> None:
    """Keeps in the configuration, for who called, what the revisions that are about to run change here.

    Raises DatabaseError, before the first of them, that names each right that is missing for that.
    """
    assert migration.config is not None
    changes: list[Change] = [step.revision.module.change for step in steps]
    missing = pending(ispyb, changes)
    chosen = missing if all(step.is_upgrade for step in steps) else [not absent for absent in missing]
    migration.config.attributes["done"] = titles(changes, chosen, ispyb.tool_schema)
    _demand_rights(ispyb, [c for c, wanted in zip(changes, chosen, strict=True) if wanted])


def demand_to_look(ispyb: Ispyb, changes: Sequence[Change]) -> None:
    """Raises DatabaseError where the account cannot even read the revision that was reached."""
    if rights.account(ispyb).rights.lacking(_OWN, ispyb.tool_schema):
        missing = pending(ispyb, changes)
        _demand_rights(ispyb, [c for c, wanted in zip(changes, missing, strict=True) if wanted])


def _demand_rights(ispyb: Ispyb, changes: Iterable[Change]) -> None:
    held = rights.account(ispyb)
    lacking: dict[str, None] = {}
    for change in changes:
        schema, table = (ispyb.schema, change.ispyb_table) if change.ispyb_table else (ispyb.tool_schema, None)
        if names := held.rights.lacking(_ON_ISPYB if table else _OWN, schema, table):
            lacking[f"{', '.join(names)} ON {schema}.{table or '*'}"] = None
    if lacking:
        words = "; ".join(right.replace(" ON ", " on ") for right in lacking)
        grants = "; ".join(f"GRANT {right} TO the account" for right in lacking)
        raise DatabaseError(
            f"migration: {held.who} has no {words}",
            hint=f"Nothing is changed. {grants}; or use an account that may ALTER and CREATE, or give a DBA the script "
            "of `ispyb-sync migrate --sql`.",
        )


def titles(changes: Iterable[Change], chosen: Iterable[bool], tool_schema: str) -> list[str]:
    """The names of those of the changes."""
    return [
        change.title.replace("ispyb_sync.", f"{tool_schema}.")
        for change, wanted in zip(changes, chosen, strict=True)
        if wanted
    ]
