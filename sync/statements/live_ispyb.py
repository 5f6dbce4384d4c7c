"""One ISPyB as a run sees it: the open connection, the two schemas, and the live columns are one object."""

from dataclasses import dataclass, fields

from sync.database.connection import Ispyb
from sync.schema.target import Target


@dataclass(frozen=True, eq=False)
class LiveIspyb(Ispyb):
    """An ISPyB whose tables were looked at."""

    target: Target


def with_target(ispyb: Ispyb, target: Target) -> LiveIspyb:
    """The same ISPyB, with what was seen of its tables."""
    return LiveIspyb(**{field.name: getattr(ispyb, field.name) for field in fields(Ispyb)}, target=target)
