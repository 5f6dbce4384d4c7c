"""A facility may drop a deprecated key: nothing looks for it any more, and nothing else changes."""

from support.migrating import Fresh, legacy, up

import sync

__all__ = ["legacy"]  # a fixture


def test_beside_a_disputed_laboratory_the_others_are_written(legacy: Fresh) -> None:
    up(legacy)
    legacy.run("ALTER TABLE Laboratory DROP COLUMN laboratoryExtPk")
    legacy.run(
        "INSERT INTO Laboratory (laboratoryId, externalId, name) VALUES"
        " (1, UNHEX(LPAD('7', 32, '0')), 'N'), (2, UNHEX(LPAD('7', 32, '0')), 'N'),"
        " (3, UNHEX(LPAD('8', 32, '0')), 'Old')"
    )
    laboratories = ({"externalId": 7, "name": "N"}, {"externalId": 8, "name": "New"})
    persons = [{"login": f"u{number}", "laboratory": lab} for number, lab in enumerate(laboratories)]
    export = {"proposal": {"proposalCode": "MX", "proposalNumber": "1", "persons": persons}}
    report = sync.apply(export, database=legacy.url, staging_schema=legacy.staging_schema)
    assert [(r.code, r.path) for r in report.refusals if r.entity == "laboratory"] == [
        ("ambiguous_match", "proposal.persons[0].laboratory")
    ]
    assert legacy.ask("SELECT name FROM Laboratory ORDER BY laboratoryId") == [("N",), ("N",), ("New",)]
