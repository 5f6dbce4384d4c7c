"""--nulls clear, where many copies of one thing have different nulls."""

from itertools import chain, combinations

from support.databases import Ispyb

import sync

FIELDS = ("familyName", "givenName", "title", "emailAddress", "phoneNumber", "faxNumber")


def test_each_copy_may_empty_other_columns(dls: Ispyb) -> None:
    """What one of them gives, none of the others empties."""
    nulls = dict.fromkeys(FIELDS)
    some = chain.from_iterable(combinations(FIELDS, many) for many in range(len(FIELDS)))
    persons = [{"login": "a", **nulls, **dict.fromkeys(given, "x")} for given in some]
    document = {"proposal": {"proposalCode": "MX", "proposalNumber": "1", "persons": persons}}
    report = sync.apply(document, database=dls.role_url, staging_schema=dls.staging_schema, nulls="clear")
    assert report.refusals == []
    assert [[row[name] for name in FIELDS] for row in dls.rows("Person")] == [["x"] * len(FIELDS)]
