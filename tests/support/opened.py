"""An ISPyB under test, opened as the tool opens it."""

from collections.abc import Iterator
from contextlib import contextmanager

from support.databases import Ispyb

from sync.database.connection import connected
from sync.model.settings import Settings
from sync.schema.introspection import introspect
from sync.statements.live_ispyb import LiveIspyb, with_target


@contextmanager
def opened(ispyb: Ispyb) -> Iterator[LiveIspyb]:
    """As a run sees it, with the rights of the sync."""
    with connected(ispyb.role_url, Settings(staging_schema=ispyb.staging_schema)) as found:
        yield with_target(found, introspect(found.connection))
