"""The objects of the four arrays, and what they become: the table of this form, field by field.

A field that is absent there is absent here, and null stays null. A value that cannot be turned is left as it is, where
validation refuses it; the message says it in the portal's words.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

Json = dict[str, Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARTICIPANT = _words(
    "categoryCode categoryCounter proposalTitle proposalType proposalGroup proposalPk pk mainProposer proposer user "
    "scientistName scientistFirstName scientistTitle scientistEmail scientistFax scientistPk scientistUserName bllogin "
    "scientistSiteId siteId labName labCity labCountryCode laboratoryPk labAddress labPostalCode labDeparment "
    "labDepartment"
)
KNOWN: Mapping[str, frozenset[str]] = {
    "proposers": _PARTICIPANT,
    "labcontacts": _PARTICIPANT,
    "sessions": _words(
        "pk categCode categCounter startDate endDate shifts lostShifts startShift beamlineName beamlinePk "
        "physicalBeamlineName reimbursedDewars reimbursedDays firstLocalContact localContacts localContactEmails "
        "cancelled finished jointExperiment name experimentPk proposalPk proposalSubmissionPk proposalTitle "
        "proposalOpmodePk proposalOpmodeCode runCode runStartDate runEndDate isBagProposal bagProposal sampleCount "
        "comment"
    ),
    "samples": _words(
        "acronym description opmodePk categoryCode categoryCounter pk proposalPk proposalType proposalGroup "
        "proposalTitle spaceGroup cellA cellB cellC cellAlpha cellBeta cellGamma siteId userName userEmail userPhone "
        "mainProposerEmail mainProposerFirstName mainProposerName mainProposerPk mainProposerTitle labAddress labCity "
        "labCountryCode labName laboratoryPk labPostalCode"
    ),
}
"""What Java ISPyB's portals send, also where nothing becomes of it: only other keys are told as unknown."""
_DATE = _words("year month dayOfMonth hourOfDay minute second")
INSIDE: Mapping[str, frozenset[str]] = {
    "startDate": _DATE,
    "endDate": _DATE,
    "firstLocalContact": _words("name realName firstName siteId email phone title scientistPk"),
}
"""The same of the objects in a session of which something becomes."""

PERSON = {
    "familyName": "scientistName",
    "givenName": "scientistFirstName",
    "title": "scientistTitle",
    "emailAddress": "scientistEmail",
    "faxNumber": "scientistFax",
}
LABORATORY = {
    "name": "labName",
    "city": "labCity",
    "country": "labCountryCode",
    "laboratoryExtPk": "laboratoryPk",
    "address": "labAddress",
}
PROPOSAL = {"proposalCode": "categoryCode", "proposalNumber": "categoryCounter", "title": "proposalTitle"}
PROPOSAL_OF_SESSION = {"proposalCode": "categCode", "proposalNumber": "categCounter"}
SESSION = {
    "expSessionPk": "pk",
    "startDate": "startDate",
    "endDate": "endDate",
    "nbShifts": "shifts",
    "beamLineName": "beamlineName",
    "nbReimbDewars": "reimbursedDewars",
    "beamLineOperator": "firstLocalContact",
    "operatorSiteNumber": "firstLocalContact.siteId",
    "scheduled": "cancelled",
    "visit_number": "name",
}
SAMPLE = {"acronym": "acronym", "name": "description", "safetyLevel": "opmodePk"}

CANCELLED = 9
"""Java ISPyB's mark of a cancelled session in BLSession.scheduled."""
LEVELS = {1: "GREEN", 2: "YELLOW", 3: "RED"}
CARD_LENGTH = 40
"""The shortest LabContact.cardName of the known schemas: a name is cut to it, as Java ISPyB cuts."""

_IN_NAME = re.compile(r"(\d{1,2})-(\d{1,2})-(\d{4})/(\d{1,2})-(\d{1,2})-(\d{4})")


def person(sent: Json) -> Json:
    """A participant, as a person of a document."""
    made = _renamed(sent, PERSON)
    login = next((name for name in ("scientistUserName", "bllogin") if sent.get(name)), None)
    if login is not None:
        made["login"] = sent[login]
    site_id = next((name for name in ("scientistSiteId", "siteId") if sent.get(name) is not None), None)
    if site_id is not None:
        made["siteId"] = sent[site_id]
    if sent.get("labName") or sent.get("laboratoryPk"):
        made["laboratory"] = laboratory(sent)
    return made


def person_fields(sent: Json) -> dict[str, str]:
    """The portal's names of a person's fields."""
    login = "bllogin" if not sent.get("scientistUserName") and sent.get("bllogin") else "scientistUserName"
    return PERSON | {"login": login, "siteId": "siteId" if sent.get("scientistSiteId") is None else "scientistSiteId"}


def laboratory(sent: Json) -> Json:
    """The laboratory of a participant."""
    made = _renamed(sent, LABORATORY)
    lines = sent.get("labAddress")
    if isinstance(lines, list) and all(line is None or isinstance(line, str) for line in lines):
        made["address"] = "\n".join(line.strip() for line in lines if line is not None and line.strip()) or None
    return made


class CardNames:
    """The names of the cards of one proposal: whoever is listed several times has one card."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._of: dict[tuple[str, str], str] = {}

    def name(self, sent: Json, made: Json) -> str:
        """familyName-givenName-laboratory, cut; one that somebody else has gets a number behind it.

        made  the person that the participant becomes
        """
        keys = [(key, str(made[key]).strip().casefold()) for key in ("login", "siteId") if made.get(key)]
        name = next((self._of[key] for key in keys if key in self._of), None) or self._new(sent)
        self._of |= dict.fromkeys(keys, name)
        return name

    def _new(self, sent: Json) -> str:
        parts = [sent.get(name) for name in ("scientistName", "scientistFirstName", "labName")]
        whole = "-".join(part.strip() for part in parts if isinstance(part, str) and part.strip())
        name = whole[:CARD_LENGTH].strip()
        number = 1
        while name.casefold() in self._taken:
            name = f"{whole[: CARD_LENGTH - len(str(number)) - 1].strip()}_{number}"
            number += 1
        self._taken.add(name.casefold())
        return name


def local_contact(sent: Json) -> tuple[Any, Any]:
    """Name and number of the first local contact; as it is where it is no object."""
    contact = sent.get("firstLocalContact")
    if not isinstance(contact, dict):
        return contact, None
    names = [contact.get(name) for name in ("name", "firstName")]
    if not all(name is None or isinstance(name, str) for name in names):
        return names, None
    number = contact.get("siteId")
    return " ".join(name for name in names if name) or None, str(number) if type(number) is int else number


def moment(value: Any, first_month: int) -> Any:
    """A date as ISO 8601 text. Raises ValueError where there is no such date; what is no date object stays."""
    if not isinstance(value, dict):
        return value
    parts: list[Any] = [value.get(name) for name in ("year", "month", "dayOfMonth")]
    parts += [0 if value.get(name) is None else value[name] for name in ("hourOfDay", "minute", "second")]
    if not all(type(part) is int for part in parts):
        raise ValueError("a date needs whole numbers: year, month, dayOfMonth, and hourOfDay, minute, second if known")
    year, month, *rest = parts
    try:
        return datetime(year, month + 1 - first_month, *rest).isoformat()
    except (ValueError, OverflowError):
        words = f"there is no such date: year {year}, month {month} (January is {first_month}), dayOfMonth {parts[2]}"
        raise ValueError(f"{words}; portal.smis_months says from which number months count") from None


def other_day(sent: Json, made: Json) -> str | None:
    """The date that is on another day than a session's name tells, as `MX/415 ID29 22-11-2016/23-11-2016` does."""
    name = sent.get("name")
    found = _IN_NAME.search(name) if isinstance(name, str) else None
    if found is None:
        return None
    day, month, year, *end = map(int, found.groups())
    told = {
        "startDate": f"{year:04}-{month:02}-{day:02}",
        "endDate": f"{end[2]:04}-{end[1]:02}-{end[0]:02}",
    }
    dates = {field: made[field] for field in told if isinstance(made.get(field), str)}
    return next((field for field, date in dates.items() if date[:10] != told[field]), None)


def visit_number(sent: Json) -> Any:
    """The visit number that a session's name is; as it is where it is none."""
    name = sent.get("name")
    return int(name) if isinstance(name, str) and name.strip().isascii() and name.strip().isdigit() else name


def _renamed(sent: Json, names: Mapping[str, str]) -> Json:
    return {ours: sent[theirs] for ours, theirs in names.items() if theirs in sent}
