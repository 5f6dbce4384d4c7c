"""`scripts/mutate`: which mistakes it makes in a file of SQL, and that the file is otherwise as it was."""

import pytest
from mutating.changes import changes, choose

HEAD = "-- pass: match\n\n-- name: match_login\n-- People: a = b.\n"


def made(statement: str) -> dict[str, set[str]]:
    """By kind of change, the statements that come of one."""
    sql = f"{HEAD}{statement}\n"
    found: dict[str, set[str]] = {}
    for change in changes("person", sql):
        changed = change.apply(sql)
        assert changed.startswith(HEAD)
        found.setdefault(change.kind, set()).add(changed.removeprefix(HEAD).strip())
    return found


@pytest.mark.parametrize(
    ("statement", "kind", "changed"),
    [
        ("WHERE t.a = s.a;", "comparison turned", {"WHERE t.a <> s.a;"}),
        ("WHERE t.a <=> s.a;", "comparison turned", {"WHERE t.a = s.a;"}),
        ("HAVING COUNT(*) < 2;", "bound moved", {"HAVING COUNT(*) <= 2;", "HAVING COUNT(*) < 3;"}),
        ("IF(BINARY t.a <=> BINARY s.a, 1, 2);", "BINARY dropped", {"IF(t.a <=> s.a, 1, 2);"}),
        ("COUNT(DISTINCT s.a);", "DISTINCT dropped", {"COUNT(s.a);"}),
        ("WHERE NOT t.a <=> s.a;", "NOT dropped", {"WHERE t.a <=> s.a;"}),
        (
            "WHERE t.a IS NULL AND s.a IS NOT NULL;",
            "NULL and NOT NULL swapped",
            {"WHERE t.a IS NOT NULL AND s.a IS NOT NULL;", "WHERE t.a IS NULL AND s.a IS NULL;"},
        ),
        (
            "WHERE a(1) AND (b OR c, d)\nGROUP BY e;",
            "condition dropped",
            {
                "WHERE TRUE AND (b OR c, d)\nGROUP BY e;",
                "WHERE a(1) AND TRUE\nGROUP BY e;",
                "WHERE a(1) AND (FALSE OR c, d)\nGROUP BY e;",
                "WHERE a(1) AND (b OR FALSE, d)\nGROUP BY e;",
            },
        ),
        ("WHERE a;", "condition dropped", {"WHERE TRUE;"}),
        ("SELECT IF(a, f(b, c), d);", "branches swapped", {"SELECT IF(a, d, f(b, c));"}),
        ("SELECT NVL(a, b);", "branches swapped", {"SELECT NVL(b, a);"}),
        (
            "SELECT CASE WHEN a AND b THEN 1 WHEN c THEN 2 ELSE 3 END;",
            "branches swapped",
            {
                "SELECT CASE WHEN a AND b THEN 2 WHEN c THEN 1 ELSE 3 END;",
                "SELECT CASE WHEN a AND b THEN 1 WHEN c THEN 3 ELSE 2 END;",
            },
        ),
        ("SELECT MIN(a);", "MIN and MAX swapped", {"SELECT MAX(a);"}),
        ("FROM a LEFT JOIN b;", "outer join made inner", {"FROM a INNER JOIN b;"}),
        ("WHERE a AND b;", "AND and OR swapped", {"WHERE a OR b;"}),
    ],
)
def test_each_kind_of_mistake_is_made(statement: str, kind: str, changed: set[str]) -> None:
    assert made(statement)[kind] == changed


def test_what_gives_a_value_is_no_comparison() -> None:
    assert made("UPDATE m SET m.a = 1, m.b = s.b;") == {"bound moved": {"UPDATE m SET m.a = 2, m.b = s.b;"}}
    assert made("INSERT INTO m ON DUPLICATE KEY UPDATE a = VALUES(a);") == {}


def test_marks_and_texts_stay() -> None:
    assert made("SELECT 'a = b', \"c AND d\"\n-- IS NULL\nFROM e;") == {}
    assert made("WHERE a\nAND b -- if: b\nOR c;")["condition dropped"] >= {"WHERE a\nAND TRUE -- if: b\nOR c;"}


def test_tables_of_the_run_are_left_alone() -> None:
    assert changes("person", "-- pass: create\n-- name: create_map\nSELECT 1 WHERE a = b;\n") == []


def test_the_same_seed_chooses_the_same_and_kinds_take_turns() -> None:
    several = changes("person", f"{HEAD}SELECT MIN(a) {' '.join(f'AND a{n} = b{n}' for n in range(50))};\n")
    chosen = choose(several, 4, seed=3)
    assert chosen == choose(several, 4, seed=3)
    assert len({change.kind for change in chosen}) == 4
    assert chosen != choose(several, 4, seed=4)
    assert len(choose(several, 10_000, seed=3)) == len(several)
