"""Fixtures: one endpoint for the tests of a module, on Diamond's database."""

from collections.abc import Callable, Iterator

import pytest
from support.databases import Ispyb
from support.endpoint import ORIGIN, Endpoint, serving


@pytest.fixture(scope="module")
def endpoint(databases: Callable[[str], Ispyb], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("serve")
    with serving(databases("dls"), folder, settings=f'[serve]\nport = 0\norigins = ["{ORIGIN}"]\n') as running:
        yield running


@pytest.fixture(scope="module")
def impatient(databases: Callable[[str], Ispyb], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """One that gives a request a second, takes 1 MB, and believes no proxy."""
    settings = "[serve]\nport = 0\ntimeout = 1\nmax_body_mb = 1\nproxies = []\n"
    with serving(databases("dls"), tmp_path_factory.mktemp("impatient"), settings=settings) as running:
        yield running
