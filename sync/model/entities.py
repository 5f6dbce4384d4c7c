"""The registry: what the tool keeps in step, parents before children.

A ninth entity is one row here, one SQL file, one class in `sync.model.documents` and one case folder.
"""

from sync.model.registry.entity import Entity as Entity
from sync.model.registry.entity import Kind as Kind
from sync.model.registry.entity import Mark as Mark

LABORATORY = Entity(
    "laboratory",
    "Laboratory",
    "laboratoryId",
    columns=("externalId", "laboratoryExtPk", "name", "city", "country", "address", "url", "organization"),
    numbers=("laboratoryExtPk",),
    keys=("externalId", "laboratoryExtPk", "name", "city", "country"),
    names=("externalId", "laboratoryExtPk", "name"),
    deprecated=("laboratoryExtPk",),
    aliases={"laboratoryExtPk": "laboratoryPk"},
    chosen_by_name=True,
    plural="laboratories",
    merged=True,
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
    numbers=("siteId",),
    keys=("externalId", "login", "siteId"),
    names=("externalId", "login", "siteId"),
    references=("laboratory_row",),
    given_up=("login", "siteId"),
    deprecated=("siteId", "personUUID"),
    parent_of_field="laboratory",
    unique_id=True,
    plural="people",
    of_people=True,
    merged=True,
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
    is_document=True,
    keeps=("person",),
    unique_id=True,
    twins="new proposals differ from one in ISPyB by leading zeros of their number only: are they the same?",
    dated_by=("bltimeStamp",),
)
PROPOSAL_HAS_PERSON = Entity(
    "proposal_has_person",
    "ProposalHasPerson",
    "proposalHasPersonId",
    belongs_to=("proposal", "person"),
    references=("person_row",),
    named_by_parent=True,
    plural="links",
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
    numbers=("expSessionPk", "visit_number", "scheduled", "nbShifts", "nbReimbDewars", "usedFlag"),
    floats=("structureDeterminations", "dewarTransport", "databackupFrance", "databackupEurope"),
    dates=("startDate", "endDate", "lastUpdate"),
    keys=("externalId", "expSessionPk", "visit_number"),
    names=("externalId", "expSessionPk", "visit_number"),
    within=("visit_number",),
    belongs_to=("proposal",),
    initial=("comments", "usedFlag", "lastUpdate"),
    filled=("lastUpdate",),
    given_up=("expSessionPk",),
    deprecated=("expSessionPk",),
    compared=("expSessionPk",),
    unneeded=Mark("scheduled", 9, "cancelled sessions"),  # as Java ISPyB writes it
    unique_id=True,
    twins="new sessions overlap one that ISPyB has on the same beamline without a key: are they the same?",
    dated_by=("startDate", "bltimeStamp"),
)
SESSION_HAS_PERSON = Entity(
    "session_has_person",
    "Session_has_Person",
    "sessionId",
    columns=("role", "remote"),
    numbers=("remote",),
    belongs_to=("session", "person"),
    references=("session_row", "person_row"),
    named_by_parent=True,
    plural="links",
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
    numbers=("hazardGroup", "containmentLevel", "isCreatedBySampleSheet"),
    floats=("molecularMass",),
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
    numbers=("dewarAvgCustomsValue", "dewarAvgTransportValue"),
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
(DOCUMENT,) = (entity for entity in ENTITIES if entity.is_document)
BY_NAME = {entity.name: entity for entity in ENTITIES}
PARENT_IDS = frozenset(BY_NAME[parent].primary_key for entity in ENTITIES for parent in entity.parents)
"""Columns that hold the id of another row."""
LINKS = tuple(entity for entity in ENTITIES if entity.is_link)
