"""Random databases, exports and settings, made to collide: few values, in many spellings; as hypothesis strategies."""

from typing import Any

from hypothesis import strategies as st
from support.databases import Ispyb

Json = dict[str, Any]

LOGINS = ["a", "A", "b", "c", "d"]
IDS = [0, 1, 2, 3, "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]
TEXTS = ["x", "X", "é", "", " ", 'a "b", [c, 1] \\ d', "two\nlines\t", "0.5", "null", "]", "x" * 45, "\x01", "\u20ac"]
NUMBERS = [0, 1, 2, 3, 4_000_000]
FLOATS = [0, 0.1, 1 / 3, 14.3, 1e-7, 123456.789, -2.5]
DATES = ["2024-01-31 08:00:00", "2024-03-31T02:30:00", "2024-10-27T02:30:00+02:00", "1999-12-31T23:59:59Z"]
ROLES = ["Staff", "Team Leader", "Local Contact"]

texts = st.sampled_from(TEXTS)
ids = st.sampled_from(IDS)


def maybe(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """A JSON object in which each field may be absent or null."""
    return st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in fields.items()})


def has(key: str) -> Any:
    """Whether an object names its thing."""
    return lambda thing: thing.get(key) not in (None, "", " ")


laboratories = maybe(
    laboratoryExtPk=st.sampled_from(NUMBERS[:3]),
    name=st.sampled_from(["Lab", "lab", "Institute"]),
    city=st.sampled_from(["Lund", "lund"]),
    country=texts,
    address=texts,
    url=texts,
    organization=texts,
).filter(lambda lab: lab.get("name") or lab.get("laboratoryExtPk") is not None)

people = maybe(
    login=st.sampled_from(LOGINS),
    externalId=ids,
    siteId=st.sampled_from(NUMBERS[:3]),
    familyName=texts,
    givenName=texts,
    emailAddress=texts,
    phoneNumber=texts,
    laboratory=laboratories,
).filter(lambda person: person.get("login") or person.get("externalId") is not None)

participants = st.builds(
    lambda person, options: person | {"session_options": options},
    people,
    maybe(role=st.sampled_from(ROLES), remote=st.booleans()),
)

sessions = maybe(
    externalId=ids,
    expSessionPk=st.sampled_from(NUMBERS[:3]),
    visit_number=st.sampled_from(NUMBERS[:3]),
    startDate=st.sampled_from(DATES),
    beamLineName=texts,
    scheduled=st.booleans(),
    nbShifts=st.sampled_from(NUMBERS),
    comments=texts,
    structureDeterminations=st.sampled_from(FLOATS),
    dewarTransport=st.sampled_from(FLOATS),
    usedFlag=st.booleans(),
    persons=st.lists(participants, max_size=3),
).map(lambda session: {"endDate": DATES[0]} | session)

proteins = maybe(
    externalId=ids,
    acronym=st.sampled_from(["lyso", "LYSO", "thau"]),
    name=texts,
    description=texts,
    hazardGroup=st.sampled_from(NUMBERS[:4]),
    safetyLevel=st.sampled_from(["GREEN", "RED"]),
    molecularMass=st.sampled_from(FLOATS),
    sequence=texts,
    person=people,
)

cards = st.builds(
    lambda card, name, person: card | {"cardName": name, "person": person},
    maybe(courierAccount=texts, dewarAvgCustomsValue=st.sampled_from(NUMBERS)),
    st.sampled_from(["Home", "home", "Other"]),
    people,
)

documents = st.builds(
    lambda proposal, number, sessions, proteins: {
        "proposal": {"proposalCode": "MX", "proposalNumber": number} | proposal,
        "sessions": sessions,
        "proteins": proteins,
    },
    maybe(
        externalId=ids,
        title=texts,
        state=st.sampled_from(["Open", "Closed"]),
        persons=st.lists(people, max_size=4),
        labcontacts=st.lists(cards, max_size=2),
    ),
    st.sampled_from(["1", "2", "3"]),
    st.none() | st.lists(sessions, max_size=3),
    st.none() | st.lists(proteins, max_size=3),
)

exports = st.lists(documents, min_size=1, max_size=3)

settings = st.fixed_dictionaries(
    {"nulls": st.sampled_from(["keep", "clear"]), "prune": st.sampled_from(["none", "owned", "all"])}
)

_given = st.fixed_dictionaries(
    {
        "Laboratory": st.lists(maybe(name=st.sampled_from(["Lab", "lab"]), city=texts, url=texts), max_size=2),
        "Person": st.lists(
            maybe(login=st.sampled_from(LOGINS), familyName=texts, phoneNumber=texts, laboratoryId=st.just(1)),
            min_size=1,
            max_size=5,
            unique_by=lambda row: str(row.get("login")).lower() if row.get("login") else object(),
        ),
        "Proposal": st.lists(st.fixed_dictionaries({"personId": st.just(1), "title": texts}), min_size=1, max_size=2),
        "ProposalHasPerson": st.lists(
            st.fixed_dictionaries({"proposalId": st.just(1), "personId": st.integers(1, 3)}), max_size=3
        ),
        "BLSession": st.lists(
            maybe(beamLineName=texts, startDate=st.sampled_from(DATES[:1]), nbShifts=st.sampled_from(NUMBERS)),
            max_size=2,
        ),
        "Session_has_Person": st.lists(
            st.fixed_dictionaries({"personId": st.integers(1, 3), "role": st.sampled_from(ROLES)}),
            max_size=3,
            unique_by=lambda row: row["personId"],
        ),
        "Protein": st.lists(
            maybe(acronym=st.sampled_from(["lyso", "thau"]), name=texts, molecularMass=st.sampled_from(FLOATS)),
            max_size=2,
        ),
        "LabContact": st.lists(
            st.fixed_dictionaries({"cardName": st.sampled_from(["Home", "Other"])}),
            max_size=2,
            unique_by=lambda row: row["cardName"],
        ),
    }
)


@st.composite
def given_rows(draw: st.DrawFn) -> dict[str, list[Json]]:
    """Rows of the eight tables with ids from 1, and parents that are there."""
    rows = draw(_given)
    persons = len(rows["Person"])
    for number, person in enumerate(rows["Person"]):
        if not rows["Laboratory"]:
            person.pop("laboratoryId", None)
        person["externalId"] = draw(st.none() | st.just(number))
    for number, proposal in enumerate(rows["Proposal"], start=1):
        proposal |= {"proposalCode": "MX", "proposalNumber": str(number)}
    for link in rows["ProposalHasPerson"]:
        link["personId"] = min(link["personId"], persons)
    for number, session in enumerate(rows["BLSession"]):
        session |= {"proposalId": 1, "externalId": draw(st.none() | st.just(number)), "visit_number": number}
    if not rows["BLSession"]:
        rows["Session_has_Person"] = []
    rows["Session_has_Person"] = [
        {"sessionId": 1} | link for link in rows["Session_has_Person"] if link["personId"] <= persons
    ]
    for protein in rows["Protein"]:
        protein |= {"proposalId": 1, "personId": 1}
    rows["LabContact"] = [
        card | {"proposalId": 1, "personId": number}
        for number, card in enumerate(rows["LabContact"], start=1)
        if number <= persons
    ]
    return rows


def insert(ispyb: Ispyb, rows: dict[str, list[Json]]) -> None:
    """Fills an empty database, as root."""
    with ispyb.engine.begin() as connection:
        for table, table_rows in rows.items():
            for row in table_rows:
                values = {column: value for name, value in row.items() if (column := ispyb.column(table, name))}
                if isinstance(identity := values.get("externalId"), int):
                    values["externalId"] = identity.to_bytes(16, "big")
                ispyb.insert(connection, table, values)
