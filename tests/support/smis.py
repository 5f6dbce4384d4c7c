"""What a User Portal of Java ISPyB sends, its people invented; and short ways to write it as files."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Arrays = dict[str, list[Json]]


def date(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> Json:
    return {"year": year, "month": month, "dayOfMonth": day, "hourOfDay": hour, "minute": minute, "second": 0}


def participant(name: str, first: str, site_id: int, **more: Any) -> Json:
    return {
        "categoryCode": "MX",
        "categoryCounter": 415,
        "proposalTitle": "Étude d'un complexe",
        "scientistName": name,
        "scientistFirstName": first,
        "scientistTitle": "Dr",
        "scientistEmail": f"{name.lower()}@example.org",
        "siteId": site_id,
        "labName": "Institut des Essais",
        "labCity": "GRENOBLE",
        "labCountryCode": "FR",
        "laboratoryPk": 200450,
        "labAddress": [None, "12 rue des Essais", "  ", None, "38000"],
        "mainProposer": False,
    } | more


def session(pk: int, /, **more: Any) -> Json:
    return {
        "pk": pk,
        "categCode": "MX",
        "categCounter": 415,
        "proposalTitle": "Étude d'un complexe",
        "startDate": date(2016, 10, 22, 9, 30),
        "endDate": date(2016, 10, 23, 17),
        "shifts": 3,
        "lostShifts": 0,
        "reimbursedDays": 4,
        "startShift": 1,
        "beamlineName": "ID29",
        "firstLocalContact": {"name": "SUD", "firstName": "Solène", "siteId": 991481, "email": "sud@example.org"},
        "cancelled": False,
        "name": "MX/415 ID29 22-11-2016/23-11-2016",
    } | more


def sample(acronym: str, opmode: Any = 1, **more: Any) -> Json:
    return {
        "categoryCode": "MX",
        "categoryCounter": 415,
        "acronym": acronym,
        "description": f"{acronym} of the hen",
        "opmodePk": opmode,
        "spaceGroup": "P1",
        "userName": "Somebody Else",
        "siteId": 1,
    } | more


MAIN = participant("NORD", "Anne", 97074, mainProposer=True, scientistUserName="nord", scientistFax="+33 1")


def arrays(**changed: Any) -> Arrays:
    """The four arrays of MX-415; what is given stands in the place of one."""
    whole: Arrays = {
        "proposers": [participant("OUEST", "Jean", 97075, bllogin="ouest"), MAIN | {}],
        "sessions": [session(978889), session(978890, cancelled=True, reimbursedDewars=2)],
        "samples": [sample("Lys", 1), sample("Tryp", 2), sample("Vir", 3), sample("Raw", None), sample("Raw4", 4)],
        "labcontacts": [participant("ÉST", "Zoé", 97076), MAIN | {"mainProposer": False}],
    }
    return whole | changed


def folder(path: Path, content: Arrays, *, prefix: str = "", suffix: str = ".json", encoding: str = "utf-8") -> Path:
    """The arrays as files of a folder."""
    path.mkdir(exist_ok=True)
    for name, array in content.items():
        (path / f"{prefix}{name}{suffix}").write_bytes(json.dumps(array, ensure_ascii=False).encode(encoding))
    return path
