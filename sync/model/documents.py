"""The document: one proposal with its people, sessions, proteins and lab contacts.

One class per entity: what msgspec reads a document into, what says whether it is valid, and what the JSON Schema tells.
Each field has a title, a description, an example and a kind (`sync.model.values`). Every plain field may be absent or
null. Lengths are those that ISPyB's tables usually have; the live table decides.
"""

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from sync.model.people import (
    EXTERNAL_ID,
    Maybe,
    PersonOrNull,
    SomeParticipant,
    SomePerson,
    Thing,
    about,
)
from sync.model.people import REFUSED as REFUSED
from sync.model.values import Decimal, ExternalId, Flag, Integer, Key, Moment, OldKey, RequiredKey, Text

_DATE = "ISO 8601. With an offset it is converted to the setting timezone; without one it is stored as written."


class _Part(Thing, Struct, gc=False, forbid_unknown_fields=True):
    """A part of a document. Its people are texts until they are read."""


class LabContact(_Part):
    """The address card that a proposal sends its shipments from."""

    entity = "lab_contact"
    named_by = ("cardName",)

    cardName: Annotated[
        RequiredKey, about("Name of the card", "Text. Feeds LabContact.cardName (40 characters).", "Weaver-Hamburg")
    ]
    person: Annotated[SomePerson, about("Person", "Feeds LabContact.personId.")]
    defaultCourrierCompany: Annotated[
        Maybe[Text], about("Courier", "Text. Feeds LabContact.defaultCourrierCompany (45 characters).", "DHL")
    ] = UNSET
    courierAccount: Annotated[
        Maybe[Text], about("Account at the courier", "Text. Feeds LabContact.courierAccount (45 characters).", "123456")
    ] = UNSET
    billingReference: Annotated[
        Maybe[Text], about("Billing reference", "Text. Feeds LabContact.billingReference (45 characters).", "PO-77")
    ] = UNSET
    dewarAvgCustomsValue: Annotated[
        Maybe[Integer], about("Customs value of a dewar", "Whole number. Feeds LabContact.dewarAvgCustomsValue.", 1000)
    ] = UNSET
    dewarAvgTransportValue: Annotated[
        Maybe[Integer],
        about("Transport value of a dewar", "Whole number. Feeds LabContact.dewarAvgTransportValue.", 200),
    ] = UNSET


class Proposal(_Part):
    """What was granted beam time, with its people. The first person is the proposer."""

    entity = "proposal"
    named_by = ("externalId", "proposalNumber")

    title: Annotated[
        Maybe[Text], about("Title", "Text. Feeds Proposal.title (200 characters).", "Structure of lysozyme")
    ] = UNSET
    proposalCode: Annotated[
        Maybe[Key],
        about("Code", "Such as MX; some facilities have none. Feeds Proposal.proposalCode (45 characters).", "MX"),
    ] = UNSET
    proposalNumber: Annotated[
        Maybe[Key], about("Number", "Text, such as 2024. Feeds Proposal.proposalNumber (45 characters).", "2112")
    ] = UNSET
    proposalType: Annotated[
        Maybe[Text], about("Type", "Such as MX or BX. Feeds Proposal.proposalType (2 characters).", "MX")
    ] = UNSET
    externalId: Annotated[Maybe[ExternalId], about("External id", EXTERNAL_ID.format("Proposal"), 17)] = UNSET
    state: Annotated[
        Maybe[Text],
        about(
            "State",
            "Open, Closed or Cancelled. Feeds Proposal.state.",
            "Open",
            enum=["Open", "Closed", "Cancelled", None],
        ),
    ] = UNSET
    persons: Annotated[
        Maybe[list[SomePerson]], about("Persons", "The proposer first. Feeds Proposal.personId and ProposalHasPerson.")
    ] = UNSET
    labcontacts: Annotated[Maybe[list[LabContact]], about("Lab contacts", "Feeds LabContact.")] = UNSET


class Session(_Part):
    """One visit to a beamline."""

    entity = "session"
    named_by = ("externalId", "expSessionPk", "visit_number")

    externalId: Annotated[Maybe[ExternalId], about("External id", EXTERNAL_ID.format("BLSession"), 4711)] = UNSET
    expSessionPk: Annotated[
        Maybe[OldKey],
        about(
            "Session key",
            "Older key of the User Portal; give externalId instead; 0 is null. "
            "Feeds BLSession.expSessionPk, an integer.",
            4711,
            deprecated=True,
        ),
    ] = UNSET
    startDate: Annotated[
        Maybe[Moment], about("Start", f"{_DATE} Feeds BLSession.startDate.", "2024-02-29T10:00:00+01:00")
    ] = UNSET
    endDate: Annotated[
        Maybe[Moment], about("End", f"{_DATE} Feeds BLSession.endDate.", "2024-03-01T10:00:00+01:00")
    ] = UNSET
    beamLineName: Annotated[
        Maybe[Text], about("Beamline", "Text. Feeds BLSession.beamLineName (45 characters).", "P11")
    ] = UNSET
    scheduled: Annotated[Maybe[Flag], about("Scheduled", "true or 1. Feeds BLSession.scheduled.", True)] = UNSET
    nbShifts: Annotated[Maybe[Integer], about("Shifts", "Number of shifts. Feeds BLSession.nbShifts.", 3)] = UNSET
    comments: Annotated[
        Maybe[Text], about("Comments", "Text. Feeds BLSession.comments (2000 characters).", "First visit")
    ] = UNSET
    beamLineOperator: Annotated[
        Maybe[Text], about("Local contact", "Text. Feeds BLSession.beamLineOperator (255 characters).", "Bo Smith")
    ] = UNSET
    visit_number: Annotated[
        Maybe[Integer],
        about("Visit number", "Integer, unique in its proposal in some schemas. Feeds BLSession.visit_number.", 1),
    ] = UNSET
    usedFlag: Annotated[Maybe[Flag], about("Used", "true or 1: data were taken. Feeds BLSession.usedFlag.", True)] = (
        UNSET
    )
    sessionTitle: Annotated[
        Maybe[Text], about("Title", "Text. Feeds BLSession.sessionTitle (255 characters).", "Lysozyme, first visit")
    ] = UNSET
    structureDeterminations: Annotated[
        Maybe[Decimal], about("Structure determinations", "Number. Feeds BLSession.structureDeterminations.", 2.0)
    ] = UNSET
    dewarTransport: Annotated[
        Maybe[Decimal], about("Dewar transport", "Number. Feeds BLSession.dewarTransport.", 1.0)
    ] = UNSET
    databackupFrance: Annotated[
        Maybe[Decimal], about("Data backup, France", "Number. Feeds BLSession.databackupFrance.", 0.0)
    ] = UNSET
    databackupEurope: Annotated[
        Maybe[Decimal], about("Data backup, Europe", "Number. Feeds BLSession.databackupEurope.", 1.0)
    ] = UNSET
    operatorSiteNumber: Annotated[
        Maybe[Text],
        about("Local contact's number", "Text. Feeds BLSession.operatorSiteNumber (10 characters).", "4123"),
    ] = UNSET
    nbReimbDewars: Annotated[
        Maybe[Integer], about("Reimbursed dewars", "Number. Feeds BLSession.nbReimbDewars.", 2)
    ] = UNSET
    projectCode: Annotated[
        Maybe[Text], about("Project code", "Text. Feeds BLSession.projectCode (45 characters).", "LYSO")
    ] = UNSET
    lastUpdate: Annotated[
        Maybe[Moment], about("Last update", f"{_DATE} Feeds BLSession.lastUpdate.", "2024-03-01T12:00:00Z")
    ] = UNSET
    protectedData: Annotated[
        Maybe[Text],
        about(
            "Protected data", "Whether the data are protected. Feeds BLSession.protectedData (1024 characters).", "OK"
        ),
    ] = UNSET
    persons: Annotated[Maybe[list[SomeParticipant]], about("Persons", "Who takes part. Feeds Session_has_Person.")] = (
        UNSET
    )


class Protein(_Part):
    """A sample declared for a proposal."""

    entity = "protein"
    named_by = ("externalId", "acronym")

    name: Annotated[Maybe[Text], about("Name", "Text. Feeds Protein.name (255 characters).", "Lysozyme")] = UNSET
    acronym: Annotated[Maybe[Key], about("Acronym", "Text. Feeds Protein.acronym (45 characters).", "lyso")] = UNSET
    externalId: Annotated[
        Maybe[ExternalId], about("External id", EXTERNAL_ID.format("Protein"), "7c9e6679-7425-40de-944b-e07fc1f90ae7")
    ] = UNSET
    description: Annotated[
        Maybe[Text], about("Description", "Text. Feeds Protein.description (65535 bytes).", "From hen egg white")
    ] = UNSET
    hazardGroup: Annotated[
        Maybe[Integer], about("Hazard group", "Risk group, an integer. Feeds Protein.hazardGroup.", 1)
    ] = UNSET
    containmentLevel: Annotated[
        Maybe[Integer], about("Containment level", "Biosafety level, an integer. Feeds Protein.containmentLevel.", 1)
    ] = UNSET
    safetyLevel: Annotated[
        Maybe[Text],
        about(
            "Safety level",
            "GREEN, YELLOW or RED. Feeds Protein.safetyLevel.",
            "GREEN",
            enum=["GREEN", "YELLOW", "RED", None],
        ),
    ] = UNSET
    molecularMass: Annotated[
        Maybe[Decimal], about("Molecular mass", "Daltons. Feeds Protein.molecularMass.", 14313.0)
    ] = UNSET
    proteinType: Annotated[
        Maybe[Text], about("Type", "Text. Feeds Protein.proteinType (45 characters).", "soluble")
    ] = UNSET
    sequence: Annotated[
        Maybe[Text], about("Sequence", "Text. Feeds Protein.sequence (65535 bytes).", "KVFGRCELAAAMKRHGLDNYRGYSLGNWVC")
    ] = UNSET
    isCreatedBySampleSheet: Annotated[
        Maybe[Flag], about("Created by a sample sheet", "true or 1. Feeds Protein.isCreatedBySampleSheet.", False)
    ] = UNSET
    person: Annotated[PersonOrNull | UnsetType, about("Person", "Who declared it. Feeds Protein.personId.")] = UNSET


class Document(_Part):
    """One proposal and all that hangs on it, as `sync_proposal` of py-ispyb takes it."""

    proposal: Annotated[Proposal, about("Proposal", "Feeds Proposal.")]
    sessions: Annotated[Maybe[list[Session]], about("Sessions", "Feeds BLSession. Others stay as they are.")] = UNSET
    proteins: Annotated[Maybe[list[Protein]], about("Proteins", "Feeds Protein. Others stay as they are.")] = UNSET


class _LabContact(LabContact, forbid_unknown_fields=False):
    pass


class _Proposal(Proposal, forbid_unknown_fields=False):
    labcontacts: Maybe[list[_LabContact]] = UNSET  # type: ignore[assignment]


class _Session(Session, forbid_unknown_fields=False):
    pass


class _Protein(Protein, forbid_unknown_fields=False):
    pass


class WithUnknownKeys(Document, forbid_unknown_fields=False):
    """The same document, where it may have keys that nobody knows."""

    proposal: _Proposal
    sessions: Maybe[list[_Session]] = UNSET  # type: ignore[assignment]
    proteins: Maybe[list[_Protein]] = UNSET  # type: ignore[assignment]
