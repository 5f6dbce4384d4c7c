"""The registry: what the tool keeps in step, parents before children.

A ninth entity is one row here, one SQL file, one class in `sync.documents` and one case folder.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, eq=False)
class Entity:
    """One entity: its name everywhere, ISPyB's table, and the columns that its staging table takes from a document.

    columns     fields of the document, staged under the same name
    keys        the columns that matching uses: never emptied, and a value that does not fit refuses the row
    names       those of them of which a row must give one, so that the next run finds it again
    references  staged rows that a row points at, by the name of the column in the staging table
    parent_of_field  the entity that a row goes on without when it is refused
    aliases     a field whose column has another name in some variants
    """

    name: str
    table: str
    primary_key: str
    columns: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    parent_of_field: str | None = None
    aliases: dict[str, str] = field(default_factory=dict)

    @property
    def staged_columns(self) -> tuple[str, ...]:
        """The columns of the staging table, in their order, where the live table lacks none of them."""
        return ("row_id", "position", "document", "path", "refused", "clears", *self.references, *self.columns)


LABORATORY = Entity(
    "laboratory",
    "Laboratory",
    "laboratoryId",
    columns=("externalId", "laboratoryExtPk", "name", "city", "country", "address", "url", "organization"),
    keys=("externalId", "laboratoryExtPk", "name", "city", "country"),
    names=("externalId", "laboratoryExtPk", "name"),
    aliases={"laboratoryExtPk": "laboratoryPk"},
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
    parent_of_field="laboratory",
)
PROPOSAL = Entity(
    "proposal",
    "Proposal",
    "proposalId",
    columns=("externalId", "proposalCode", "proposalNumber", "title", "proposalType", "state"),
    keys=("externalId", "proposalCode", "proposalNumber"),
    names=("externalId", "proposalNumber"),
    references=("person_row",),
)
PROPOSAL_HAS_PERSON = Entity(
    "proposal_has_person", "ProposalHasPerson", "proposalHasPersonId", references=("person_row",)
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
)
SESSION_HAS_PERSON = Entity(
    "session_has_person",
    "Session_has_Person",
    "sessionId",
    columns=("role", "remote"),
    references=("session_row", "person_row"),
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
    references=("person_row",),
    parent_of_field="person",
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
    references=("person_row",),
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
