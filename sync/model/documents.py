"""The document: one proposal with its people, sessions, proteins and lab contacts.

One class per entity. Every plain field may be absent or null; `model_fields_set` tells the two apart.
Unknown keys are ignored here and reported by `sync.validate.unknown_keys`. Lengths are those that ISPyB's tables
usually have; the live table decides.
"""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from sync.model.values import Decimal, ExternalId, Flag, Integer, Key, Moment, OldKey, Phone, RequiredKey, Text


class _Refused:
    """The place of a thing that was refused."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "REFUSED"


REFUSED: Any = _Refused()
"""Stands in a list of a validated document for a thing that was refused, so that positions stay."""

_DEPRECATED: dict[str, Any] = {"deprecated": True}
"""In the JSON Schema only: pydantic's own mark would warn at each access."""

_EXTERNAL_ID = "Integer 0 ... 2^128-1 or UUID. Feeds {}.externalId (16 bytes, big-endian). 0 is a value."


def _field(title: str, description: str, **more: Any) -> Any:
    """A field that may be absent."""
    return Field(default=None, title=title, description=description, **more)


_CONFIG = ConfigDict(strict=True, extra="ignore", defer_build=True)
"""Built when first used: a run that leaves out all documents needs none."""


class _Thing(BaseModel):
    """What has a row of its own, of this entity. `named_by` are the fields of which it must give one."""

    model_config = _CONFIG

    entity: ClassVar[str]
    named_by: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        values = self.__dict__
        for name in self.named_by:
            if values[name] is not None:
                return self
        raise PydanticCustomError(
            "no_key", "nothing names it: one of {names} is needed", {"names": ", ".join(self.named_by)}
        )


class Laboratory(_Thing):
    """The institute a person works for."""

    entity = "laboratory"
    named_by = ("externalId", "laboratoryExtPk", "name")

    externalId: ExternalId | None = _field("External id", _EXTERNAL_ID.format("Laboratory"))
    laboratoryExtPk: OldKey | None = _field(
        "User Portal key", "Integer; 0 is null. Feeds Laboratory.laboratoryExtPk (laboratoryPk in some schemas)."
    )
    name: Key | None = _field("Name", "Text. Feeds Laboratory.name (45 characters).")
    address: Text | None = _field("Address", "Text. Feeds Laboratory.address (255 characters).")
    city: Key | None = _field("City", "Text. Feeds Laboratory.city (45 characters).")
    country: Key | None = _field("Country", "Text. Feeds Laboratory.country (45 characters).")
    url: Text | None = _field("Web page", "URL. Feeds Laboratory.url (255 characters).")
    organization: Text | None = _field("Organization", "Text. Feeds Laboratory.organization (45 characters).")


class Person(_Thing):
    """Somebody named in a proposal, a session, a protein or a lab contact."""

    entity = "person"
    named_by = ("externalId", "login", "siteId")

    givenName: Text | None = _field("Given name", "Text. Feeds Person.givenName (45 characters).")
    familyName: Text | None = _field("Family name", "Text. Feeds Person.familyName (100 characters).")
    title: Text | None = _field("Title", "Such as Dr. Feeds Person.title (45 characters).")
    login: Key | None = _field("Login", "Account name. Feeds Person.login (45 characters).")
    externalId: ExternalId | None = _field("External id", _EXTERNAL_ID.format("Person"))
    siteId: OldKey | None = _field(
        "Site id",
        "Older key of the User Portal; give externalId instead; 0 is null. Feeds Person.siteId, an integer.",
        json_schema_extra=_DEPRECATED,
    )
    emailAddress: Text | None = _field("E-mail address", "Text. Feeds Person.emailAddress (60 characters).")
    phoneNumber: Phone | None = _field(
        "Phone number", 'Text; "None" counts as null. Feeds Person.phoneNumber (45 characters).'
    )
    faxNumber: Phone | None = _field(
        "Fax number", 'Text; "None" counts as null. Feeds Person.faxNumber (45 characters).'
    )
    laboratory: Laboratory | None = _field("Laboratory", "Feeds Person.laboratoryId.")


class SessionOptions(BaseModel):
    """How a person takes part in a session."""

    model_config = _CONFIG

    entity: ClassVar[str] = "session_has_person"

    role: Text | None = _field(
        "Role", "One of the roles of Session_has_Person.role, such as Team Leader (22 characters)."
    )
    remote: Flag | None = _field("Remote", "true or 1: takes part from afar. Feeds Session_has_Person.remote.")


class SessionPerson(Person):
    """A person who takes part in a session."""

    session_options: SessionOptions | None = _field("Session options", "Feeds Session_has_Person.")


class LabContact(_Thing):
    """The address card that a proposal sends its shipments from."""

    entity = "lab_contact"
    named_by = ("cardName",)

    cardName: RequiredKey = Field(
        title="Name of the card", description="Text. Feeds LabContact.cardName (40 characters)."
    )
    person: Person = Field(title="Person", description="Feeds LabContact.personId.")
    defaultCourrierCompany: Text | None = _field(
        "Courier", "Text. Feeds LabContact.defaultCourrierCompany (45 characters)."
    )
    courierAccount: Text | None = _field(
        "Account at the courier", "Text. Feeds LabContact.courierAccount (45 characters)."
    )
    billingReference: Text | None = _field(
        "Billing reference", "Text. Feeds LabContact.billingReference (45 characters)."
    )
    dewarAvgCustomsValue: Integer | None = _field(
        "Customs value of a dewar", "Whole number. Feeds LabContact.dewarAvgCustomsValue."
    )
    dewarAvgTransportValue: Integer | None = _field(
        "Transport value of a dewar", "Whole number. Feeds LabContact.dewarAvgTransportValue."
    )


class Proposal(_Thing):
    """What was granted beam time, with its people. The first person is the proposer."""

    entity = "proposal"
    named_by = ("externalId", "proposalNumber")

    title: Text | None = _field("Title", "Text. Feeds Proposal.title (200 characters).")
    proposalCode: Key | None = _field(
        "Code", "Such as MX; some facilities have none. Feeds Proposal.proposalCode (45 characters)."
    )
    proposalNumber: Key | None = _field("Number", "Text, such as 2024. Feeds Proposal.proposalNumber (45 characters).")
    proposalType: Text | None = _field("Type", "Such as MX or BX. Feeds Proposal.proposalType (2 characters).")
    externalId: ExternalId | None = _field("External id", _EXTERNAL_ID.format("Proposal"))
    state: Text | None = _field("State", "Open, Closed or Cancelled. Feeds Proposal.state.")
    persons: list[Person] | None = _field(
        "Persons", "The proposer first. Feeds Proposal.personId and ProposalHasPerson."
    )
    labcontacts: list[LabContact] | None = _field("Lab contacts", "Feeds LabContact.")


class Session(_Thing):
    """One visit to a beamline."""

    entity = "session"
    named_by = ("externalId", "expSessionPk", "visit_number")

    externalId: ExternalId | None = _field("External id", _EXTERNAL_ID.format("BLSession"))
    expSessionPk: OldKey | None = _field(
        "Session key",
        "Older key of the User Portal; give externalId instead; 0 is null. Feeds BLSession.expSessionPk, an integer.",
        json_schema_extra=_DEPRECATED,
    )
    startDate: Moment | None = _field("Start", "ISO 8601 date. Feeds BLSession.startDate.")
    endDate: Moment | None = _field("End", "ISO 8601 date. Feeds BLSession.endDate.")
    beamLineName: Text | None = _field("Beamline", "Text. Feeds BLSession.beamLineName (45 characters).")
    scheduled: Flag | None = _field("Scheduled", "true or 1. Feeds BLSession.scheduled.")
    nbShifts: Integer | None = _field("Shifts", "Number of shifts. Feeds BLSession.nbShifts.")
    comments: Text | None = _field("Comments", "Text. Feeds BLSession.comments (2000 characters).")
    beamLineOperator: Text | None = _field("Local contact", "Text. Feeds BLSession.beamLineOperator (255 characters).")
    visit_number: Integer | None = _field(
        "Visit number", "Integer, unique in its proposal in some schemas. Feeds BLSession.visit_number."
    )
    usedFlag: Flag | None = _field("Used", "true or 1: data were taken. Feeds BLSession.usedFlag.")
    sessionTitle: Text | None = _field("Title", "Text. Feeds BLSession.sessionTitle (255 characters).")
    structureDeterminations: Decimal | None = _field(
        "Structure determinations", "Number. Feeds BLSession.structureDeterminations."
    )
    dewarTransport: Decimal | None = _field("Dewar transport", "Number. Feeds BLSession.dewarTransport.")
    databackupFrance: Decimal | None = _field("Data backup, France", "Number. Feeds BLSession.databackupFrance.")
    databackupEurope: Decimal | None = _field("Data backup, Europe", "Number. Feeds BLSession.databackupEurope.")
    operatorSiteNumber: Text | None = _field(
        "Local contact's number", "Text. Feeds BLSession.operatorSiteNumber (10 characters)."
    )
    nbReimbDewars: Integer | None = _field("Reimbursed dewars", "Number. Feeds BLSession.nbReimbDewars.")
    projectCode: Text | None = _field("Project code", "Text. Feeds BLSession.projectCode (45 characters).")
    lastUpdate: Moment | None = _field("Last update", "ISO 8601 date. Feeds BLSession.lastUpdate.")
    protectedData: Text | None = _field(
        "Protected data", "Whether the data are protected. Feeds BLSession.protectedData (1024 characters)."
    )
    persons: list[SessionPerson] | None = _field("Persons", "Who takes part. Feeds Session_has_Person.")


class Protein(_Thing):
    """A sample declared for a proposal."""

    entity = "protein"
    named_by = ("externalId", "acronym")

    name: Text | None = _field("Name", "Text. Feeds Protein.name (255 characters).")
    acronym: Key | None = _field("Acronym", "Text. Feeds Protein.acronym (45 characters).")
    externalId: ExternalId | None = _field("External id", _EXTERNAL_ID.format("Protein"))
    description: Text | None = _field("Description", "Text. Feeds Protein.description (65535 bytes).")
    hazardGroup: Integer | None = _field("Hazard group", "Risk group, an integer. Feeds Protein.hazardGroup.")
    containmentLevel: Integer | None = _field(
        "Containment level", "Biosafety level, an integer. Feeds Protein.containmentLevel."
    )
    safetyLevel: Text | None = _field("Safety level", "GREEN, YELLOW or RED. Feeds Protein.safetyLevel.")
    molecularMass: Decimal | None = _field("Molecular mass", "Daltons. Feeds Protein.molecularMass.")
    proteinType: Text | None = _field("Type", "Text. Feeds Protein.proteinType (45 characters).")
    sequence: Text | None = _field("Sequence", "Text. Feeds Protein.sequence (65535 bytes).")
    isCreatedBySampleSheet: Flag | None = _field(
        "Created by a sample sheet", "true or 1. Feeds Protein.isCreatedBySampleSheet."
    )
    person: Person | None = _field("Person", "Who declared it. Feeds Protein.personId.")


class Document(BaseModel):
    """One proposal and all that hangs on it, as `sync_proposal` of py-ispyb takes it."""

    model_config = _CONFIG

    proposal: Proposal = Field(title="Proposal", description="Feeds Proposal.")
    sessions: list[Session] | None = _field("Sessions", "Feeds BLSession. Others stay as they are.")
    proteins: list[Protein] | None = _field("Proteins", "Feeds Protein. Others stay as they are.")


def schema() -> dict[str, Any]:
    """The JSON Schema of a document."""
    return Document.model_json_schema()
