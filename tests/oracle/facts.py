"""What the live columns are: what fits, how they compare text, what they hold when nobody writes.

Of a collation only the letters in LETTERS are known here; a test asks the server about each pair of them.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

LETTERS = "abcABCéèÉñåäöÅÄÖoO1234567890- "
ANY = object()
"""A value that a row may hold in many forms, such as the time of now."""

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_OF_THEIR_OWN = {"latin1_swedish_ci": "åäö"}
_QUERY = """
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT,
    CHARACTER_MAXIMUM_LENGTH, CHARACTER_SET_NAME, COLLATION_NAME
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
"""


def fold(collation: str, text: str) -> str:
    """Texts that the collation holds equal fold to the same: case, accents and spaces at the end do not count.

    In latin1_swedish_ci, å, ä and ö are letters of their own.
    """
    own = _OF_THEIR_OWN.get(collation, "")
    folded = "".join(c if c in own else unicodedata.normalize("NFD", c)[0] for c in text.lower())
    return folded.rstrip(" ")


@dataclass(frozen=True)
class Column:
    """One column of a live table."""

    name: str
    data_type: str
    column_type: str
    nullable: bool
    default: Any
    characters: int | None
    charset: str | None
    collation: str | None

    def misfit(self, value: Any) -> str | None:
        """The code of a value that the column cannot hold, or None."""
        if self.data_type == "enum":
            members = [member.lower() for member in re.findall("'([^']*)'", self.column_type)]
            return None if value.lower() in members else "value_not_allowed"
        if self.charset is not None:
            if self.characters is not None and len(value) > self.characters:
                return "value_too_long"
            return "value_not_encodable" if self.charset == "latin1" and max(value, default="") > "ÿ" else None
        if self.data_type in _BITS:
            size = 2 ** _BITS[self.data_type]
            low = 0 if "unsigned" in self.column_type else -size // 2
            return None if low <= value < low + size else "value_out_of_range"
        return None

    def stored(self, value: Any) -> Any:
        """The value as the column gives it back: an enum has its own spelling, a timestamp no fraction."""
        if self.data_type == "enum":
            return next(m for m in re.findall("'([^']*)'", self.column_type) if m.lower() == value.lower())
        return value

    def key(self, value: Any) -> Any:
        """Equal for values that the column holds equal."""
        return fold(self.collation, value) if self.collation and isinstance(value, str) else value


@dataclass(frozen=True)
class Facts:
    """The live tables. `unique_visits`: (proposalId, visit_number) names one session."""

    tables: dict[str, dict[str, Column]]
    unique_visits: bool


def read_facts(connection: Connection) -> Facts:
    """Asks information_schema about the connection's schema."""
    tables: dict[str, dict[str, Column]] = {}
    for table, name, data_type, column_type, nullable, default, *text in connection.exec_driver_sql(_QUERY):
        column = Column(name, data_type, column_type, nullable == "YES", _default(default), *text)
        tables.setdefault(table, {})[name] = column
    indexes = connection.exec_driver_sql("SHOW INDEX FROM BLSession WHERE Non_unique = 0 AND Key_name <> 'PRIMARY'")
    return Facts(tables, any(row.Column_name == "visit_number" for row in indexes))


def _default(text: str | None) -> Any:
    if text is None or text == "NULL":
        return None
    if text.startswith("current_timestamp"):
        return ANY
    text = text.strip("'")
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return datetime.fromisoformat(text) if re.fullmatch(r"\d{4}-(?!00).*", text) else text
