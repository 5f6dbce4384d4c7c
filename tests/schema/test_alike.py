"""--proposal finds what the columns' collations take for the same name, and nothing else."""

from itertools import product

import pytest
from support.databases import Ispyb
from support.live_columns import altered
from support.small import Json, document

import sync
from sync.database.connection import connect
from sync.read.closest import folded
from sync.schema.alike import folding
from sync.schema.introspection import introspect

NAMES = ["MX", "mx", "MÄ", "MA", "Mä", "MÖ", "mo", "MI", "Mi", "Mı", "Mİ", "MŁ", "ML", "Mß", "Mss", "MÜ", "MUE", "MU "]
COLLATIONS = [
    *("latin1_swedish_ci", "latin1_german2_ci", "latin1_bin", "latin2_general_ci", "utf8mb4_bin", "utf8mb4_unicode_ci"),
    *("utf8mb4_turkish_ci", "utf8mb4_nopad_bin", "utf8mb4_swedish_ci", "ascii_general_ci", "utf16_general_ci"),
]


def in_collation(collation: str) -> str:
    text = f"VARCHAR(45) CHARACTER SET {collation.split('_')[0]} COLLATE {collation} NULL"
    return f"MODIFY proposalCode {text}, MODIFY proposalNumber {text}"


@pytest.mark.parametrize("collation", COLLATIONS)
def test_names_are_the_same_as_the_server_says(dls: Ispyb, collation: str) -> None:
    with altered(dls, "Proposal", in_collation(collation)), connect(dls.role_url) as connection:
        target = introspect(connection)
        fold = folding(connection, target, folded)
        fitting = [name for name in NAMES if target.repertoires[collation.split("_")[0]].holds(name)]
        assert len(fitting) > 5
        charset = collation.split("_")[0]
        pairs = list(product(fitting, fitting))
        column = f"CONVERT(%s USING {charset}) COLLATE {collation}"
        asked = f"SELECT {', '.join([f'{column} = {column}'] * len(pairs))}"
        said = connection.exec_driver_sql(asked, tuple(name for pair in pairs for name in pair)).one()
        for (one, other), same in zip(pairs, said, strict=True):
            assert (fold(f"{one}-1") == fold(f"{other}-1")) == bool(same), (one, other)
            assert (fold(one) == fold(other)) == bool(same), (one, other)


def numbered(code: str, number: str) -> Json:
    return document(1, proposalCode=code, proposalNumber=number, title=f"{code}-{number}", externalId=None)


@pytest.mark.parametrize(
    ("collation", "taken"),
    [
        ("latin1_swedish_ci", ["MX-1ä", "mx-1Ä"]),
        ("latin1_bin", ["MX-1ä"]),
        ("latin1_german2_ci", ["MX-1ä", "mx-1Ä", "MX-1ae"]),
    ],
)
def test_a_run_takes_the_documents_of_these_names(dls: Ispyb, collation: str, taken: list[str]) -> None:
    codes = [("MX", "1ä"), ("mx", "1Ä"), ("MX", "1ae"), ("MX", "1a")]
    export = [numbered(*names) for names in codes]
    given = {"database": dls.role_url, "staging_schema": dls.staging_schema}
    with altered(dls, "Proposal", in_collation(collation)):
        for _ in range(2):
            report = sync.plan(export, proposals=["MX-1ä"], **given)
            assert report.documents_read == 4
            assert {change.fields["title"]["new"] for change in report.changes if change.entity == "proposal"} <= {
                *taken
            }
            assert [w.message for w in report.warnings if w.code == "proposal_not_found"] == []
        assert report.entities["proposal"].staged == 1
        assert report.entities["proposal_has_person"].staged == 3
