"""--nulls clear, where many copies of one thing have different nulls."""

from itertools import chain, combinations

import pytest
from support.databases import Ispyb

import sync

FIELDS = ("familyName", "givenName", "title", "emailAddress", "phoneNumber", "faxNumber")


@pytest.mark.parametrize("ispyb", ["dls"], indirect=True)
def test_each_copy_may_empty_other_columns(ispyb: Ispyb) -> None:
    """What one of them gives, none of the others empties."""
    nulls = dict.fromkeys(FIELDS)
    some = chain.from_iterable(combinations(FIELDS, many) for many in range(len(FIELDS)))
    persons = [{"login": "a", **nulls, **dict.fromkeys(given, "x")} for given in some]
    document = {"proposal": {"proposalCode": "MX", "proposalNumber": "1", "persons": persons}}
    report = sync.apply(document, database=ispyb.role_url, staging_schema=ispyb.staging_schema, nulls="clear")
    assert report.refusals == []
    assert [[row[name] for name in FIELDS] for row in ispyb.rows("Person")] == [["x"] * len(FIELDS)]
