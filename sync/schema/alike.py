"""Which names of proposals ISPyB takes for the same: as the collations of the two columns compare them.

The server is asked for the weights of the usual letters, once for each collation. Letters beyond these are the same as
themselves only.
"""

import unicodedata
from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from sync.model.entities import DOCUMENT
from sync.schema.column import Column
from sync.schema.target import Target

_LETTERS = "".join(map(chr, (*range(0x20, 0x7F), *range(0xA1, 0x250), *range(0x370, 0x460))))
"""ASCII, Latin, Greek and Cyrillic."""
_WEIGHTS = """
WITH RECURSIVE place AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM place WHERE n < CHAR_LENGTH(%s))
SELECT SUBSTRING(%s, n, 1), HEX(WEIGHT_STRING(CONVERT(SUBSTRING(%s, n, 1) USING `{charset}`) COLLATE `{collation}`))
FROM place
"""
_known: dict[str, Mapping[int, str]] = {}
"""By collation; the same on every server."""

Fold = Callable[[str], str]


def folding(connection: Connection, target: Target, usual: Fold) -> Fold:
    """Gives of a proposal's name (CODE-NUMBER) a text that is the same for names that ISPyB takes for one.

    usual   the same for a part whose column has no collation: a number, or none at all
    """
    code, number = (
        _of_column(connection, target, target[DOCUMENT].column(field), usual)
        for field in ("proposalCode", "proposalNumber")
    )

    def fold(name: str) -> str:
        first, dash, last = name.rpartition("-")
        return f"{code(first)}{dash}{number(last)}"

    return fold


def _of_column(connection: Connection, target: Target, column: Column | None, usual: Fold) -> Fold:
    if column is None or column.charset is None:
        return usual
    if column.collation is None:
        return str  # bytes are compared as they are
    weights = _weights(connection, target, column.charset, column.collation)
    blanks = "" if "nopad" in column.collation else " "
    return lambda text: unicodedata.normalize("NFC", text).rstrip(blanks).translate(weights)


def _weights(connection: Connection, target: Target, charset: str, collation: str) -> Mapping[int, str]:
    if collation not in _known:
        letters = "".join(filter(target.repertoires[charset].holds, _LETTERS))
        # Names of character sets and collations come from information_schema; a name cannot be a parameter.
        sql = _WEIGHTS.format(charset=charset, collation=collation)
        rows = connection.exec_driver_sql(sql, (letters,) * 3)
        _known[collation] = {ord(letter): weight for letter, weight in rows}
    return _known[collation]
