"""The SQL does what a plain reading of design.md says (tests/oracle), on random rows and exports.

Most examples share a run with others, apart by their keys: a run costs much more than a row. Some have one alone, since
what no row of a run gives is not looked for. They are the same at each run of the suite; `-m soak` goes through many
more, in parts that may be run alone. What a run writes is rolled back. What differs is shown in its smallest form.
"""

import pytest
from oracle.bench import Bench, bench, compare
from oracle.facts import LETTERS, fold
from support.variants import TABLES

__all__ = ["bench"]  # a fixture

EXAMPLES = 300
"""So many of each variant; there are two."""
SOAK = 50_000
"""So many of each variant, in parts."""
PART = 2_500
SHORT = 150


def test_letterscompare_as_the_servercompares_them(bench: Bench) -> None:
    """What the oracle knows of the two collations is what the server does."""
    for collation in ("latin1_swedish_ci", "utf8mb4_general_ci"):
        charset = collation.split("_")[0]
        rows = bench.connection.exec_driver_sql(
            f"SELECT a.c, b.c, CONVERT(a.c USING {charset}) COLLATE {collation} = CONVERT(b.c USING {charset})"
            f" FROM ({_select(LETTERS)}) AS a, ({_select(LETTERS)}) AS b"
        ).all()
        assert len(rows) == len(LETTERS) ** 2
        wrong = [(a, b) for a, b, equal in rows if (fold(collation, a) == fold(collation, b)) != bool(equal)]
        assert not wrong
    bench.connection.rollback()


def test_the_sql_does_what_the_oracle_says(bench: Bench) -> None:
    """Examples change with the constants of the code, from which Hypothesis draws too: it may need a few more."""
    wanted = REACHED + (WHERE_VISITS_ARE_UNIQUE if bench.facts.unique_visits else [])
    wanted += [(kind.name, "key_emptied") for kind in bench.kinds.values() if kind.given_up]
    compare(bench, EXAMPLES, first=0, until=wanted)
    assert not bench.missed(wanted), "the examples no longer reach what they are for"


@pytest.mark.soak
def test_the_sql_does_what_the_oracle_says_in_short(bench: Bench) -> None:
    """For `scripts/mutate`, which runs it often: few examples, and none is made smaller."""
    compare(bench, SHORT, first=0, smallest=False)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1, 1 + SOAK // PART))
def test_the_sql_does_what_the_oracle_says_for_long(bench: Bench, first: int) -> None:
    """In parts, each from a seed of its own: one may be run again, and Hypothesis forgets the examples of the last."""
    compare(bench, PART, first)


REACHED = [
    *(
        ("person", code)
        for code in ("duplicate_key", "ambiguous_match", "key_taken", "keys_disagree", "value_too_long")
    ),
    *(("proposal", code) for code in ("duplicate_key", "ambiguous_match", "key_taken", "keys_disagree", "no_proposer")),
    *(("laboratory", code) for code in ("duplicate_key", "key_taken", "value_too_long")),
    *(("session", code) for code in ("duplicate_key", "key_taken", "belongs_elsewhere", "parent_refused")),
    *(("protein", code) for code in ("duplicate_key", "ambiguous_match", "parent_refused")),
    *(("lab_contact", code) for code in ("duplicate_key", "key_taken", "parent_refused", "value_too_long")),
    ("protein", "told"),
    *(("proposal", rule) for rule in ("forgotten_code", "belied")),
    ("person", "emptied_key_taken"),
    *((name, "inserted") for name in TABLES),
    *((name, "updated") for name in TABLES if name != "proposal_has_person"),
    *((name, "unchanged") for name in TABLES),
]
"""What the examples are for: each of it must occur in the suite, on each variant."""
WHERE_VISITS_ARE_UNIQUE = [
    ("session", rule) for rule in ("weak_duplicate_key", "weak_ambiguous_match", "unkept_key_shared")
]
"""The same where (proposalId, visit_number) is unique."""


def _select(letters: str) -> str:
    """A table of one letter a row, each between two others so that spaces inside a text count."""
    return " UNION ALL ".join(f"SELECT '{letter}' AS c" for letter in letters)
