"""A document that names every field of the document schema, with values that fit the columns of every variant.

Of each field there is a first value and a second one, so that a changed export changes each column that it may.
Text is ASCII unless a test gives it otherwise. Each thing has an externalId, and is found without its other keys.
"""

from collections.abc import Callable
from typing import Any

from support.small import Json

Values = dict[str, Any]


def same(place: str, value: Any) -> Any:
    """Change no value."""
    return value


def document(edition: int = 1, number: int = 1, *, change: Callable[[str, Any], Any] = same) -> Json:
    """One proposal and all that hangs on it, in its first or second edition.

    `change` gives another value for a place such as Person.familyName.
    """

    def fields(table: str, values: Values) -> Values:
        return {name: change(f"{table}.{name}", value) for name, value in values.items()}

    proposer, other = (_person(10 * number + place, edition, fields) for place in (1, 2))
    options = {"role": ("Staff", "Team Leader")[edition - 1], "remote": edition == 1}
    return {
        "proposal": {
            **fields("Proposal", _proposal(number, edition)),
            "persons": [proposer, other],
            "labcontacts": [{**fields("LabContact", _card(edition)), "person": other}],
        },
        "sessions": [
            {
                **fields("BLSession", _session(10 * number + visit, visit, edition)),
                "persons": [{**person, "session_options": options} for person in (proposer, other)],
            }
            for visit in (1, 2)
        ],
        "proteins": [{**fields("Protein", _protein(number, edition)), "person": proposer}],
    }


def _person(key: int, edition: int, fields: Any) -> Values:
    laboratory = {
        "externalId": key,
        "laboratoryExtPk": key,
        "name": f"Lab {key}",
        "address": f"{edition} Main Street",
        "city": "Lund",
        "country": "Sweden",
        "url": f"https://lab.example/{edition}",
        "organization": f"Org {edition}",
    }
    person = {
        "externalId": key,
        "login": f"user{key}",
        "siteId": key,
        "familyName": f"Family {key}.{edition}",
        "givenName": f"Given {edition}",
        "title": ("Dr", "Prof")[edition - 1],
        "emailAddress": f"u{key}@{edition}.example",
        "phoneNumber": f"+46 {edition}",
        "faxNumber": f"+47 {edition}",
    }
    return {**fields("Person", person), "laboratory": fields("Laboratory", laboratory)}


def _proposal(number: int, edition: int) -> Values:
    return {
        "externalId": number,
        "proposalCode": "MX",
        "proposalNumber": str(number),
        "title": f"Title {edition}",
        "proposalType": ("MX", "BX")[edition - 1],
        "state": ("Open", "Closed")[edition - 1],
    }


def _session(key: int, visit: int, edition: int) -> Values:
    return {
        "externalId": key,
        "expSessionPk": key,
        "visit_number": visit,
        "startDate": f"2024-07-0{edition}T08:00:00",
        "endDate": f"2024-07-0{edition + 1}T08:00:00",
        "beamLineName": f"ID{edition}",
        "scheduled": edition == 1,
        "nbShifts": edition,
        "comments": "Comment",
        "beamLineOperator": f"Operator {edition}",
        "usedFlag": True,
        "sessionTitle": f"Session {edition}",
        "structureDeterminations": edition + 0.5,
        "dewarTransport": edition + 1.5,
        "databackupFrance": edition + 2.5,
        "databackupEurope": edition + 3.5,
        "operatorSiteNumber": str(edition),
        "nbReimbDewars": edition,
        "projectCode": f"P{edition}",
        "lastUpdate": "2024-07-03T08:00:00",
        "protectedData": ("OK", "no")[edition - 1],
    }


def _protein(number: int, edition: int) -> Values:
    return {
        "externalId": number,
        "acronym": "HSP70",
        "name": f"Heat shock {edition}",
        "description": f"Described {edition}",
        "hazardGroup": edition,
        "containmentLevel": edition,
        "safetyLevel": ("GREEN", "RED")[edition - 1],
        "molecularMass": edition + 0.25,
        "proteinType": f"type {edition}",
        "sequence": "MK" * edition,
        "isCreatedBySampleSheet": True,
    }


def _card(edition: int) -> Values:
    return {
        "cardName": "Card",
        "defaultCourrierCompany": "DHL",
        "courierAccount": "123",
        "billingReference": "ref",
        "dewarAvgCustomsValue": edition,
        "dewarAvgTransportValue": edition,
    }
