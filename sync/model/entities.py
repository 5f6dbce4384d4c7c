"""The registry: what the tool keeps in step, parents before children.

A ninth entity is one row here, one SQL file, one class in `sync.model.documents` and one case folder.
"""

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "number", "float", "date", "bytes"]
"""What a value is, in a document as in a column: text, a whole number, a number, a date, sixteen bytes."""

_NUMBERS = {
    *("laboratoryExtPk", "siteId", "expSessionPk", "visit_number", "nbShifts", "nbReimbDewars", "scheduled"),
    *("usedFlag", "remote", "hazardGroup", "containmentLevel", "isCreatedBySampleSheet"),
    *("dewarAvgCustomsValue", "dewarAvgTransportValue"),
}
_FLOATS = {"structureDeterminations", "dewarTransport", "databackupFrance", "databackupEurope", "molecularMass"}
_DATES = {"startDate", "endDate", "lastUpdate"}


def kind_of_field(name: str) -> Kind:
    """What the values of a field of the document are, once they are validated."""
    if name in _NUMBERS:
        return "number"
    if name in _FLOATS:
        return "float"
    if name in _DATES:
        return "date"
    return "bytes" if name == "externalId" else "text"


@dataclass(frozen=True, eq=False)
class Entity:
    """One entity: its name everywhere, ISPyB's table, and the columns that its staging table takes from a document.

    columns     fields of the document, staged under the same name
    keys        the columns that matching uses: never emptied, and a value that does not fit refuses the row
    names       those of them of which a row must give one, so that the next run finds it again
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
    settled_after  the entity that must be matched before this one is settled, where that is not its own
    of_people   whether its key says who somebody is
    dated_by    columns that say when a row was made; the first that the live table has counts
    aliases     a field whose column has another name in some variants
    """

    name: str
    table: str
    primary_key: str
    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
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
    second_id: str | None = None
    settled_after: str | None = None
    of_people: bool = False
    dated_by: tuple[str, ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def staged_first(self) -> tuple[str, ...]:
        """The columns of the staging table that come before those of the document, in their order."""
        return ("row_id", "position", "document", "path", "refused", "contradicts", "clears", *self.references)

    @property
    def is_link(self) -> bool:
        """Whether a row only says that other rows belong together: pruning may delete it."""
        return not self.keys

    @property
    def is_shared(self) -> bool:
        """Whether rows belong to nothing, so that many documents name the same one."""
        return not self.belongs_to and self is not DOCUMENT

    @property
    def parents(self) -> tuple[str, ...]:
        """The entities that a row refers to: first those that it belongs to."""
        named = (reference.removesuffix("_row") for reference in self.references)
        return tuple(dict.fromkeys((*self.belongs_to, *named)))


LABORATORY = Entity(
    "laboratory",
    "Laboratory",
    "laboratoryId",
    columns=("externalId", "laboratoryExtPk", "name", "city", "country", "address", "url", "organization"),
    keys=("externalId", "laboratoryExtPk", "name", "city", "country"),
    names=("externalId", "laboratoryExtPk", "name"),
    deprecated=("laboratoryExtPk",),
    aliases={"laboratoryExtPk": "laboratoryPk"},
    settled_after="person",  # found by name, it is settled when it is known which people have it already
    dated_by=("recordTimeStamp",),
)
PERSON = Entity(
    "person",
    "Person",
    "personId",
    columns=(
        *("externalId", "login", "siteId", "familyName", "givenName", "title"),
        *("emailAddress", "phoneNumber", "faxNumber"),
    ),
    keys=("externalId", "login", "siteId"),
    names=("externalId", "login", "siteId"),
    references=("laboratory_row",),
    given_up=("login", "siteId"),
    deprecated=("siteId", "personUUID"),
    parent_of_field="laboratory",
    of_people=True,
    dated_by=("recordTimeStamp",),
)
PROPOSAL = Entity(
    "proposal",
    "Proposal",
    "proposalId",
    columns=("externalId", "proposalCode", "proposalNumber", "title", "proposalType", "state"),
    keys=("externalId", "proposalCode", "proposalNumber"),
    names=("externalId", "proposalNumber"),
    references=("person_row",),
    compared=("proposalCode",),
    dated_by=("bltimeStamp",),
)
PROPOSAL_HAS_PERSON = Entity(
    "proposal_has_person",
    "ProposalHasPerson",
    "proposalHasPersonId",
    belongs_to=("proposal", "person"),
    references=("person_row",),
    named_by_parent=True,
    of_people=True,
)
SESSION = Entity(
    "session",
    "BLSession",
    "sessionId",
    columns=(
        *("externalId", "expSessionPk", "visit_number", "startDate", "endDate", "beamLineName", "scheduled"),
        *("nbShifts", "beamLineOperator", "sessionTitle", "structureDeterminations", "dewarTransport"),
        *("databackupFrance", "databackupEurope", "operatorSiteNumber", "nbReimbDewars", "projectCode"),
        *("protectedData", "comments", "usedFlag", "lastUpdate"),
    ),
    keys=("externalId", "expSessionPk", "visit_number"),
    names=("externalId", "expSessionPk", "visit_number"),
    within=("visit_number",),
    belongs_to=("proposal",),
    initial=("comments", "usedFlag", "lastUpdate"),
    filled=("lastUpdate",),
    given_up=("expSessionPk",),
    deprecated=("expSessionPk",),
    compared=("expSessionPk",),
    dated_by=("startDate", "bltimeStamp"),
)
SESSION_HAS_PERSON = Entity(
    "session_has_person",
    "Session_has_Person",
    "sessionId",
    columns=("role", "remote"),
    belongs_to=("session", "person"),
    references=("session_row", "person_row"),
    named_by_parent=True,
    second_id="personId",
    of_people=True,
)
PROTEIN = Entity(
    "protein",
    "Protein",
    "proteinId",
    columns=(
        *("externalId", "acronym", "name", "description", "hazardGroup", "containmentLevel", "safetyLevel"),
        *("molecularMass", "proteinType", "sequence", "isCreatedBySampleSheet"),
    ),
    keys=("externalId", "acronym"),
    names=("externalId", "acronym"),
    belongs_to=("proposal",),
    references=("person_row",),
    initial=("isCreatedBySampleSheet",),
    parent_of_field="person",
    dated_by=("bltimeStamp",),
)
LAB_CONTACT = Entity(
    "lab_contact",
    "LabContact",
    "labContactId",
    columns=(
        *("cardName", "defaultCourrierCompany", "courierAccount", "billingReference"),
        *("dewarAvgCustomsValue", "dewarAvgTransportValue"),
    ),
    keys=("cardName",),
    names=("cardName",),
    belongs_to=("proposal", "person"),
    references=("person_row",),
    initial=(
        *("cardName", "defaultCourrierCompany", "courierAccount", "billingReference"),
        *("dewarAvgCustomsValue", "dewarAvgTransportValue"),
    ),
    named_by_parent=True,
    of_people=True,
    dated_by=("recordTimeStamp",),
)

ENTITIES = (
    LABORATORY,
    PERSON,
    PROPOSAL,
    PROPOSAL_HAS_PERSON,
    SESSION,
    SESSION_HAS_PERSON,
    PROTEIN,
    LAB_CONTACT,
)
DOCUMENT = PROPOSAL
"""Each document is of one of these: its number is the row's, and what has no owner but this one stands in it."""
BY_NAME = {entity.name: entity for entity in ENTITIES}
LINKS = tuple(entity for entity in ENTITIES if entity.is_link)
