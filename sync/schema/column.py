"""One column of a live table, and what fits into it."""

import re
from dataclasses import dataclass
from functools import cached_property

from sync.model.entities import Kind

_INTEGER_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
TEXTS = ("tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob")
WITH_LENGTH = ("varchar", "char", "varbinary", "binary")
_EXTERNAL_ID_BYTES = 16


@dataclass(frozen=True)
class Column:
    """One column of a live table, and what fits into it.

    default     as the server writes it, an expression; None where there is none
    characters  most characters a text column holds, most bytes a binary one; None for other types
    octets      most bytes a TEXT or BLOB column holds; None for other types
    charset     MariaDB's name of the character set; None for other types
    extra       such as auto_increment
    generated   whether its value is computed; `comment` is the table's
    """

    name: str
    type_name: str
    column_type: str
    nullable: bool
    default: str | None = None
    characters: int | None = None
    octets: int | None = None
    charset: str | None = None
    collation: str | None = None
    extra: str = ""
    generated: bool = False
    comment: str = ""

    @property
    def has_default(self) -> bool:
        """Whether a row that does not give the column gets a value all the same."""
        return self.default not in (None, "NULL")

    @cached_property
    def members(self) -> dict[str, str]:
        """The members of an ENUM by their folded form; MariaDB compares them without case."""
        if self.type_name != "enum":
            return {}
        found = re.findall(r"'((?:[^']|'')*)'", self.column_type)
        return {member.replace("''", "'").casefold(): member.replace("''", "'") for member in found}

    @cached_property
    def bounds(self) -> tuple[int, int] | None:
        """The lowest and highest value of a column of whole numbers."""
        if self.type_name == "decimal":
            digits, scale = map(int, re.findall(r"\d+", self.column_type)[:2])
            most = 10 ** (digits - scale) - 1
            return None if scale else (0 if "unsigned" in self.column_type else -most, most)
        bits = _INTEGER_BITS.get(self.type_name)
        if bits is None:
            return None
        if "unsigned" in self.column_type:
            return 0, 2**bits - 1
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    @cached_property
    def kind(self) -> Kind | None:
        """What its values are; None for a type that no field of a document can feed."""
        if self.name == "externalId":
            return "bytes" if self.type_name in ("binary", "varbinary") and self._holds_external_ids else None
        if self.bounds is not None:
            return "number"
        if self.type_name in ("float", "double"):
            return "float"
        if self.type_name in ("datetime", "timestamp"):
            return "date"
        return "text" if self.type_name in (*TEXTS, "varchar", "char", "varbinary", "enum") else None

    @property
    def _holds_external_ids(self) -> bool:
        exactly = self.type_name == "binary"
        return self.characters == _EXTERNAL_ID_BYTES if exactly else (self.characters or 0) >= _EXTERNAL_ID_BYTES
