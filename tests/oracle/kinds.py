"""The eight entities as design.md names them: keys in order, and which columns are the portal's."""

from dataclasses import dataclass, replace
from typing import Any

from oracle.facts import Column, Facts


@dataclass(frozen=True)
class Key:
    """A column or several that can name a row.

    needed         without this field the key is missing; that another one is missing is a value like any other
    names_one_row  rule 6 holds; a laboratory's name and an acronym are not unique
    in_proposal    it names a row only within its proposal
    weak           rule 8: of what the export names, it joins only what gives no other key
    """

    fields: tuple[str, ...]
    needed: str
    names_one_row: bool = True
    in_proposal: bool = False
    weak: bool = False

    def value(self, columns: dict[str, Column], values: dict[str, Any], proposal: object = None) -> Any:
        """What two rows of this key have in common, or None: null never matches."""
        if values.get(self.needed) is None:
            return None
        parts = tuple(columns[name].key(values.get(name)) for name in self.fields)
        return (proposal, *parts) if self.in_proposal else parts


@dataclass(frozen=True)
class Kind:
    """One entity. `portal` is inserted and updated, `initial` inserted only; keys are the portal's too.

    given_up  keys that a null empties, where an earlier key finds the row
    unkept    fields of keys that the live table has no column for
    """

    name: str
    table: str
    primary_key: str
    keys: tuple[Key, ...] = ()
    portal: tuple[str, ...] = ()
    initial: tuple[str, ...] = ()
    given_up: tuple[str, ...] = ()
    unkept: tuple[str, ...] = ()
    forgiving: bool = False
    """A later key that finds a row of a different earlier key makes a new row, and is not refused."""

    @property
    def key_fields(self) -> frozenset[str]:
        return frozenset(name for key in self.keys for name in key.fields)

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that have a column."""
        return tuple(dict.fromkeys((*(n for key in self.keys for n in key.fields), *self.portal, *self.initial)))


def one(name: str, **more: Any) -> Key:
    """A key of one column."""
    return Key((name,), name, **more)


def kinds(facts: Facts) -> dict[str, Kind]:
    """The entities by name, parents before children, with the columns that the live tables have."""
    visit = (one("visit_number", in_proposal=True, weak=True),) if facts.unique_visits else ()
    pk = "laboratoryExtPk" if "laboratoryExtPk" in facts.tables["Laboratory"] else "laboratoryPk"
    every = (
        Kind(
            "laboratory",
            "Laboratory",
            "laboratoryId",
            (one("externalId"), one(pk), Key(("name", "city", "country"), "name", names_one_row=False)),
            portal=("address", "url", "organization"),
            forgiving=True,
        ),
        Kind(
            "person",
            "Person",
            "personId",
            (one("externalId"), one("login"), one("siteId")),
            portal=("familyName", "givenName", "title", "emailAddress", "phoneNumber", "faxNumber"),
            given_up=("login", "siteId"),
        ),
        Kind(
            "proposal",
            "Proposal",
            "proposalId",
            (one("externalId"), Key(("proposalCode", "proposalNumber"), "proposalNumber")),
            portal=("title", "proposalType", "state"),
        ),
        Kind("proposal_has_person", "ProposalHasPerson", "proposalHasPersonId"),
        Kind(
            "session",
            "BLSession",
            "sessionId",
            (one("externalId"), one("expSessionPk"), *visit),
            portal=(
                *("startDate", "endDate", "beamLineName", "scheduled", "nbShifts", "beamLineOperator"),
                *("sessionTitle", "structureDeterminations", "protectedData"),
                *(() if visit else ("visit_number",)),
            ),
            initial=("comments", "usedFlag", "lastUpdate"),
            given_up=("expSessionPk",),
        ),
        Kind("session_has_person", "Session_has_Person", "sessionId", portal=("role", "remote")),
        Kind(
            "protein",
            "Protein",
            "proteinId",
            (one("externalId", in_proposal=True), one("acronym", names_one_row=False, in_proposal=True)),
            portal=("name", "description", "safetyLevel", "molecularMass", "proteinType", "sequence"),
            initial=("isCreatedBySampleSheet",),
            forgiving=True,
        ),
        Kind(
            "lab_contact",
            "LabContact",
            "labContactId",
            (one("cardName", in_proposal=True), one("personId", in_proposal=True)),
            initial=("cardName", "defaultCourrierCompany", "courierAccount", "dewarAvgCustomsValue"),
        ),
    )
    return {kind.name: _live(kind, facts.tables[kind.table]) for kind in every}


def _live(kind: Kind, columns: dict[str, Column]) -> Kind:
    """The kind without the columns that the live table lacks."""
    return replace(
        kind,
        keys=tuple(key for key in kind.keys if all(name in columns for name in key.fields)),
        portal=tuple(name for name in kind.portal if name in columns),
        initial=tuple(name for name in kind.initial if name in columns),
        given_up=tuple(name for name in kind.given_up if name in columns),
        unkept=tuple(name for key in kind.keys for name in key.fields if name not in columns),
    )
