"""Servers that are set up otherwise than usual: a run works there, or says why it cannot."""

from collections.abc import Iterator

import pytest
from databases import Ispyb, create
from small import document, export, holds, run

import sync
from sync import load
from sync.errors import DatabaseError
from sync.server import server

TEXT = [
    "tab\t",
    "line\n",
    "back\\slash",
    "\\N",
    "'",
    '"',
    "`",
    "%s",
    ":x",
    "'; DROP TABLE Person; --",
    "",
    " ",
    "after ",
    "😀",
]


@pytest.fixture(scope="module")
def odd() -> Iterator[Ispyb]:
    """py-ispyb's tables on a server of which nearly every setting is another than usual."""
    flags = [
        *("--local-infile=0", "--lower-case-table-names=1", "--max-allowed-packet=1M", "--autocommit=0"),
        *("--sql-mode=", "--innodb-strict-mode=0", "--default-time-zone=+05:30", "--innodb-rollback-on-timeout=1"),
        *("--character-set-server=latin1", "--collation-server=latin1_german1_ci", "--group-concat-max-len=4"),
        *("--transaction-isolation=SERIALIZABLE", "--explicit-defaults-for-timestamp=0"),
    ]
    with server(extra=flags) as url:
        yield create(url, "py")


@pytest.mark.parametrize(
    ("sql_mode", "local_infile"),
    [
        ("", 0),
        ("", 1),
        ("ANSI,NO_BACKSLASH_ESCAPES", 0),
        ("ANSI,NO_BACKSLASH_ESCAPES", 1),
        ("ORACLE,TRADITIONAL", 1),
        ("EMPTY_STRING_IS_NULL,PAD_CHAR_TO_FULL_LENGTH", 0),
    ],
)
def test_the_server_may_be_set_up_otherwise(
    odd: Ispyb, monkeypatch: pytest.MonkeyPatch, sql_mode: str, local_infile: int
) -> None:
    run(odd, f"SET GLOBAL sql_mode = '{sql_mode}'", f"SET GLOBAL local_infile = {local_infile}")
    odd.engine.dispose()
    odd.reset()
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    documents = [document(number, family=text) for number, text in enumerate(TEXT)]
    report = sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema)
    assert report.refusals == []
    assert holds(odd, len(documents))
    names = {row["login"]: row["familyName"] for row in odd.rows("Person")}
    for one in documents:
        person = one["proposal"]["persons"][0]
        assert names[person["login"]] == person["familyName"]
    for row in odd.rows("BLSession"):
        assert (str(row["startDate"]), str(row["lastUpdate"])) == ("2024-07-01 08:00:00", "2024-07-02 08:00:00")
    assert sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema).nothing_to_do


@pytest.mark.parametrize("local_infile", [0, 1])
def test_more_than_one_packet_is_sent_in_several(
    odd: Ispyb, monkeypatch: pytest.MonkeyPatch, local_infile: int
) -> None:
    run(odd, f"SET GLOBAL local_infile = {local_infile}")
    odd.reset()
    monkeypatch.setattr(load, "FEW_ROWS", 0)
    large = document(1)
    large["proteins"] = [{"acronym": f"p{number}", "sequence": "A" * 60_000} for number in range(60)]
    report = sync.apply(large, database=odd.role_url, staging_schema=odd.staging_schema)
    assert (report.refusals, report.entities["protein"].inserted) == ([], 60)
    assert {len(str(row["sequence"])) for row in odd.rows("Protein")} == {60_000}


def test_more_refusals_than_fit_into_a_packet_do_no_harm(odd: Ispyb) -> None:
    odd.reset()
    documents = export(1000, title="x" * 300, family="y" * 300)
    report = sync.apply(documents, database=odd.role_url, staging_schema=odd.staging_schema)
    assert (report.status, len(report.refusals)) == ("applied", 1000 + 3 * 1000)
    assert report.entities["proposal"].inserted == 1000


def test_a_server_that_is_read_only_can_be_planned_on_but_not_applied_to(odd: Ispyb) -> None:
    odd.reset()
    run(odd, "SET GLOBAL read_only = 1")
    try:
        plan = sync.plan(export(2), database=odd.role_url, staging_schema=odd.staging_schema)
        assert plan.entities["person"].inserted == 6
        with pytest.raises(DatabaseError, match="read-only"):
            sync.apply(export(2), database=odd.role_url, staging_schema=odd.staging_schema)
    finally:
        run(odd, "SET GLOBAL read_only = 0")
    assert holds(odd, 0)
