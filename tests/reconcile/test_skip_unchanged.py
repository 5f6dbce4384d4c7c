"""--skip-unchanged: documents that are as they were when last applied are left out, and only those."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.databases import Ispyb
from support.small import document, export

import sync
from sync.model.errors import UsageError
from sync.model.report import Report


def apply(dls: Ispyb, documents: Any, **settings: Any) -> Report:
    settings = {"skip_unchanged": True} | settings
    return sync.apply(documents, database=dls.role_url, staging_schema=dls.staging_schema, **settings)


def skipped(report: Report) -> int:
    return sum(warning.count for warning in report.warnings if warning.code == "skipped_unchanged")


def title(dls: Ispyb, number: int) -> object:
    return next(row["title"] for row in dls.rows("Proposal") if row["proposalNumber"] == str(number))


def test_what_was_applied_is_left_out_and_what_changed_is_not(dls: Ispyb) -> None:
    apply(dls, export(3), skip_unchanged=False)
    changed = [document(1, title="New"), *export(3)[1:]]
    report = apply(dls, changed)
    assert (skipped(report), report.documents_read, report.entities["proposal"].updated) == (2, 3, 1)
    assert title(dls, 1) == "New"
    assert skipped(apply(dls, changed)) == 3


def test_a_document_that_comes_back_is_applied_again(dls: Ispyb) -> None:
    for name in ("Old", "New", "Old"):
        assert skipped(apply(dls, document(1, title=name))) == 0
        assert title(dls, 1) == name


@pytest.mark.parametrize("form", ["lines", "array"])
def test_files_of_any_form_are_known_again(dls: Ispyb, tmp_path: Path, form: str) -> None:
    path = tmp_path / "export.json"
    texts = [json.dumps(one) for one in export(3)]
    path.write_text("\n".join(texts) if form == "lines" else f"[{', '.join(texts)}]")
    assert skipped(apply(dls, path)) == 0
    assert skipped(apply(dls, path)) == 3


def test_drift_is_not_seen_until_a_run_without_it(dls: Ispyb) -> None:
    apply(dls, document(1, title="Portal"))
    with dls.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE Proposal SET title = 'Drift'")
    apply(dls, document(1, title="Portal"))
    assert title(dls, 1) == "Drift"
    apply(dls, document(1, title="Portal"), skip_unchanged=False)
    assert title(dls, 1) == "Portal"


def test_a_refusal_is_told_again_each_time(dls: Ispyb) -> None:
    bad = document(1, title="x" * 300)
    for _ in range(2):
        report = apply(dls, bad)
        assert (skipped(report), len(report.refusals)) == (0, 1)


@pytest.mark.parametrize("setting", [{"nulls": "clear"}, {"timezone": "Europe/Paris"}, {"prune": "all"}], ids=str)
def test_other_settings_make_other_documents(dls: Ispyb, setting: dict[str, Any]) -> None:
    apply(dls, document(1))
    assert skipped(apply(dls, document(1), **setting)) == 0


def test_a_proposal_of_several_documents_is_never_left_out(dls: Ispyb, tmp_path: Path) -> None:
    path = tmp_path / "export.ndjson"
    one, other = document(1, title="One"), document(1, title="Other")
    apply(dls, one)
    path.write_text("\n".join(map(json.dumps, [document(2), one, other])))
    assert skipped(apply(dls, path)) == 0
    assert title(dls, 1) == "Other"
    assert skipped(apply(dls, path)) == 1


def test_another_spelling_names_the_same_proposal(dls: Ispyb, tmp_path: Path) -> None:
    path = tmp_path / "export.ndjson"
    one, other = document(1, title="One"), document(1, title="Other", proposalCode="mx ")
    apply(dls, one)
    path.write_text("\n".join(map(json.dumps, [one, other])))
    assert skipped(apply(dls, path)) == 0
    assert title(dls, 1) == "Other"
    apply(dls, one)
    report = apply(dls, one, proposals=["mx-1"])
    assert (skipped(report), [w.code for w in report.warnings if w.code == "proposal_not_found"]) == (1, [])


def test_where_it_cannot_be_read_again_such_a_proposal_is_an_error(dls: Ispyb) -> None:
    one, other = document(1, title="One"), document(1, title="Other")
    apply(dls, one)
    with pytest.raises(UsageError, match="left out one document of a proposal"):
        apply(dls, [one, other])
    assert title(dls, 1) == "One"


def test_a_plan_remembers_nothing(dls: Ispyb) -> None:
    sync.plan(document(1), database=dls.role_url, staging_schema=dls.staging_schema)
    assert skipped(apply(dls, document(1))) == 0


def test_an_undo_forgets(dls: Ispyb) -> None:
    report = apply(dls, document(1))
    assert report.run is not None
    sync.undo(report.run, database=dls.role_url, staging_schema=dls.staging_schema)
    assert skipped(apply(dls, document(1))) == 0
    assert title(dls, 1)


def test_what_is_left_out_of_a_full_export_is_not_vanished(dls: Ispyb) -> None:
    with pytest.raises(UsageError, match="full with skip_unchanged"):
        apply(dls, document(1), full=True)
