"""--full: what ISPyB knows by an externalId and the export of the whole facility no longer has."""

import json

import pytest
from support.databases import Ispyb
from support.small import CommandLine, Json, document, export, run

import sync
from sync.history import runs as history
from sync.model.errors import UsageError
from sync.model.report import Report
from sync.model.settings import load_settings

pytestmark = pytest.mark.parametrize("ispyb", ["dls"], indirect=True)


def call(ispyb: Ispyb, documents: list[Json], verb: str = "apply", **settings: object) -> Report:
    report = getattr(sync, verb)(
        documents, database=ispyb.role_url, staging_schema=ispyb.staging_schema, **({"full": True} | settings)
    )
    assert isinstance(report, Report)
    return report


def names(report: Report) -> list[tuple[str, str | None, object]]:
    assert report.vanished is not None
    return [(thing.entity, thing.proposal, thing.externalId) for thing in report.vanished]


def test_nothing_vanished_from_an_export_that_has_all(ispyb: Ispyb) -> None:
    assert call(ispyb, export(3)).vanished == []
    assert call(ispyb, export(3)).vanished == []


def test_without_the_flag_nobody_looks(ispyb: Ispyb) -> None:
    assert "vanished" not in call(ispyb, export(1), full=False).to_dict()


def test_proposals_and_sessions_that_the_export_lacks_are_listed_and_left(ispyb: Ispyb) -> None:
    call(ispyb, export(3))
    before = ispyb.snapshot()
    fewer = [document(1), document(3)]
    del fewer[1]["sessions"][0]
    expected = [("proposal", "MX-2", 2), ("session", "MX-2", 201), ("session", "MX-2", 202), ("session", "MX-3", 301)]
    for verb in ("plan", "apply"):
        assert names(call(ispyb, fewer, verb)) == expected
    assert ispyb.snapshot() == before


def test_what_has_no_external_id_is_not_known_to_the_portal(ispyb: Ispyb) -> None:
    call(ispyb, export(2))
    run(ispyb, "UPDATE Proposal SET externalId = NULL", "UPDATE BLSession SET externalId = NULL")
    assert names(call(ispyb, export(1))) == []


def test_what_the_export_names_by_another_key_or_is_refused_is_not_listed(ispyb: Ispyb) -> None:
    call(ispyb, export(3))
    documents = export(3)
    del documents[0]["proposal"]["externalId"]  # found by its number
    documents[1]["proposal"]["externalId"] = 77  # keys_disagree: MX-2 belongs to externalId 2
    documents[2]["sessions"][0]["persons"] = [{"login": "u1_0", "externalId": 999}]
    report = call(ispyb, documents)
    assert report.refusals
    assert names(report) == [("proposal", "MX-2", 2)]


def test_what_could_not_be_read_may_be_among_what_is_listed(ispyb: Ispyb) -> None:
    call(ispyb, export(2))
    documents = export(2)
    documents[1]["proposal"]["title"] = ["not a text"]
    report = call(ispyb, documents)
    assert ("proposal", "MX-2", 2) in names(report)
    assert [w.count for w in report.warnings if w.code == "vanished_or_invalid"] == [1]


def test_history_keeps_the_list(ispyb: Ispyb) -> None:
    call(ispyb, export(2))
    report = call(ispyb, export(1))
    kept = history.show(ispyb.role_url, load_settings(staging_schema=ispyb.staging_schema), report.run or 0)
    assert kept.report.vanished == report.vanished


def test_with_a_selection_of_proposals_it_is_refused(ispyb: Ispyb) -> None:
    with pytest.raises(UsageError, match="full with proposals"):
        call(ispyb, export(1), proposals=["MX-1"])


def test_the_commands_list_it(ispyb: Ispyb, command: CommandLine) -> None:
    call(ispyb, export(13))
    done = command("plan", "good.ndjson", "--full")
    assert done.code == 0
    assert "vanished: proposal (11), in ISPyB and not in the export" in done.out
    assert "3 MX-3 [MX-3]: externalId 3" in done.out
    assert "… and 1 more" in done.out
    assert "ID1 2024-07-01 08:00:00 [MX-3]: externalId 301" in done.out
    assert len(json.loads(command("apply", "good.ndjson", "--full", "--json").out)["vanished"]) == 33
    assert command("plan", "good.ndjson", "--full", "--proposal", "MX-1").code == 2
