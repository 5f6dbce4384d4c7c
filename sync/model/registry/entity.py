"""What the registry tells of an entity."""

import re
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "number", "float", "date", "bytes"]
"""What a value is, in a document as in a column: text, a whole number, a number, a date, sixteen bytes."""


@dataclass(frozen=True)
class Mark:
    """A value of a field by which a new row need not be known to ISPyB, and what people call such rows."""

    field: str
    value: int
    rows: str


@dataclass(frozen=True, eq=False)
class Entity:
    """One entity: its name everywhere, ISPyB's table, and the columns that its staging table takes from a document.

    columns     fields of the document, staged under the same name
    numbers     those of them that hold whole numbers
    floats      those that hold numbers
    dates       those that hold a date and a time; externalId holds sixteen bytes, and all others text
    keys        the columns that matching uses: never emptied, and a value that does not fit refuses the row
    names       those of them of which a row must give one, so that the next run finds it again
    is_document whether each document is of one of these, whose row has the document's number
    belongs_to  entities of which a row needs one each: without them it is refused
    references  staged rows that a row points at, by the name of the column in the staging table
    initial     columns that are written when a row is inserted, and belong to ISPyB afterwards
    filled      columns that a new row always gets a value for: its SQL file says which
    given_up    keys that a null empties where an earlier key finds the row
    within      keys that name a row only where the live table has them unique within what it belongs to
    deprecated  columns that externalId replaces, so that they may go once every row has one
    compared    columns that are staged also where the live table has none: they tell things apart
    named_by_parent  whether a row that gives no key at all can still be found, by what it refers to
    parent_of_field  the entity that a row goes on without when it is refused, and that a null takes off it
    second_id   the column that names a row together with the primary key, where that alone does not
    keeps       entities that a known row goes on referring to where the one it would refer to now is refused
    unneeded    the mark of a new row that need not be known to ISPyB
    unique_id   whether migrate makes externalId unique
    chosen_by_name  whether one of several rows of a name is taken, where a key of several rows is refused elsewhere
    plural      what people call several of them, where an s does not do
    twins       what is told of new rows that look like one of ISPyB
    settled_after  the entity that must be matched before this one is settled, where that is not its own
    of_people   whether its key says who somebody is
    merged      whether two rows may be one that was typed in twice, with nothing but references behind them
    dated_by    columns that say when a row was made; the first that the live table has counts
    aliases     a field whose column has another name in some variants
    """

    name: str
    table: str
    primary_key: str
    columns: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    is_document: bool = False
    belongs_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    initial: tuple[str, ...] = ()
    filled: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    deprecated: tuple[str, ...] = ()
    compared: tuple[str, ...] = ()
    named_by_parent: bool = False
    parent_of_field: str | None = None
    keeps: tuple[str, ...] = ()
    unneeded: Mark | None = None
    unique_id: bool = False
    chosen_by_name: bool = False
    plural: str = ""
    twins: str = ""
    second_id: str | None = None
    settled_after: str | None = None
    of_people: bool = False
    merged: bool = False
    dated_by: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)

    def kind(self, field: str) -> Kind:
        """What the values of a field of the document are, once they are validated."""
        if field in self.numbers:
            return "number"
        if field in self.floats:
            return "float"
        if field in self.dates:
            return "date"
        return "bytes" if field == "externalId" else "text"

    @property
    def words(self) -> str:
        """What people call one of them."""
        return self.name.replace("_", " ")

    @property
    def several(self) -> str:
        """What people call several of them."""
        return self.plural or f"{self.words}s"

    def merge_command(self, ids: str) -> str:
        """The command that prints how the first two rows of a text of ids become one; empty where there is none."""
        two = re.findall(r"\d+", ids)[:2]
        return f"ispyb-sync merge {self.name} {' '.join(two)}" if self.merged and len(two) == 2 else ""

    @property
    def staged_first(self) -> tuple[str, ...]:
        """The columns of the staging table that come before those of the document, in their order."""
        return ("row_id", "position", "document", "path", "refused", "contradicts", "unfit", "clears", *self.references)

    @property
    def is_link(self) -> bool:
        """Whether a row only says that other rows belong together: pruning may delete it."""
        return not self.keys

    @property
    def is_shared(self) -> bool:
        """Whether rows belong to nothing, so that many documents name the same one."""
        return not self.belongs_to and not self.is_document

    @property
    def is_named_anywhere(self) -> bool:
        """Whether documents of several proposals may name one row, each by a key of its own."""
        return self.is_shared or self.unique_id

    @property
    def parents(self) -> tuple[str, ...]:
        """The entities that a row refers to: first those that it belongs to."""
        named = (reference.removesuffix("_row") for reference in self.references)
        return tuple(dict.fromkeys((*self.belongs_to, *named)))
