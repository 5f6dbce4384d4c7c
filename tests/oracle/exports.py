"""Random documents. Everything that names a thing comes from a handful of values, so that things meet:
shared, missing, null, swapped, in another spelling, and now and then one that no column can hold."""

from math import prod
from typing import Any

from hypothesis import strategies as st

from oracle.mentions import Json

ABSENT: Any = object()
_EVENLY = 2**20
"""Of larger ranges Hypothesis prefers the small numbers."""
_LONG = "x" * 46


def one_of_each(**choices: list[Any]) -> st.SearchStrategy[Json]:
    """An object whose fields are each one of the choices. One number draws several fields, since a draw costs most."""
    groups: list[dict[str, list[Any]]] = [{}]
    for name, values in choices.items():
        if _combinations(groups[-1]) * len(values) > _EVENLY:
            groups.append({})
        groups[-1][name] = values
    numbers = [st.integers(0, _combinations(group) - 1) for group in groups]
    return st.tuples(*numbers).map(lambda drawn: _chosen(groups, drawn))


def _combinations(choices: dict[str, list[Any]]) -> int:
    return prod(map(len, choices.values()))


def _chosen(groups: list[dict[str, list[Any]]], numbers: tuple[int, ...]) -> Json:
    chosen: Json = {}
    for choices, number in zip(groups, numbers, strict=True):
        for name, values in choices.items():
            number, place = divmod(number, len(values))
            chosen[name] = values[place]
    return chosen


def fields(**choices: list[Any]) -> st.SearchStrategy[Json]:
    """An object whose fields are absent or one of the choices."""
    return one_of_each(**choices).map(_without_absent)


def _without_absent(raw: Json) -> Json:
    return {name: value for name, value in raw.items() if value is not ABSENT}


def _with(part: st.SearchStrategy[Json], **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """An object with further fields, each of which may be absent."""
    return st.builds(lambda part, more: part | _without_absent(more), part, st.fixed_dictionaries(more))


def _list(items: st.SearchStrategy[Json], most: int) -> st.SearchStrategy[Any]:
    """A list, sometimes empty, null or absent."""
    return st.one_of(
        st.lists(items, min_size=1, max_size=most), st.lists(items, max_size=most), st.sampled_from([None, ABSENT])
    )


_LABORATORY = fields(
    externalId=[ABSENT, ABSENT, None, 1, 2],
    laboratoryExtPk=[ABSENT, None, 1, 2, 3],
    name=["N", "N", "n", "M", "Né", ABSENT, _LONG],
    city=[ABSENT, ABSENT, None, "C", "c"],
    address=[ABSENT, "x", "y", None],
    organization=[ABSENT, "o"],
)
_LOGINS = [ABSENT, ABSENT, None, "", "a", "b", "c", "A", "b ", "é", "e"]
_PERSON = _with(
    fields(
        externalId=[ABSENT, ABSENT, None, 0, 1, 2, 3],
        login=[*_LOGINS, *_LOGINS, _LONG, "α"],
        siteId=[ABSENT, ABSENT, ABSENT, None, 1, 2, 2**40],
        familyName=[ABSENT, None, "F", "f", "G", "x" * 101],
        phoneNumber=[ABSENT, ABSENT, None, "None", "1"],
    ),
    laboratory=st.one_of(st.sampled_from([ABSENT, ABSENT, None]), _LABORATORY),
)
_SOMEBODY = st.one_of(fields(login=["a", "b", "c", "A"]), fields(externalId=[1, 2], login=[ABSENT, "a", "b"]), _PERSON)
_MEMBER = _with(
    _SOMEBODY,
    session_options=st.one_of(
        st.sampled_from([ABSENT, None]),
        fields(role=[ABSENT, None, "Staff", "staff", "Team Leader", "Boss"], remote=[ABSENT, None, True, 0, 300]),
    ),
)
_MOMENTS = [ABSENT, None, "2024-01-31T08:00:00Z", "2024-01-31T10:00:00+02:00", "2024-02-01T09:30:00.5"]
_SESSION = _with(
    fields(
        externalId=[ABSENT, ABSENT, None, 0, 1, 2],
        expSessionPk=[ABSENT, ABSENT, None, 1, 2, 3, 2**40],
        visit_number=[ABSENT, ABSENT, None, 0, 1, 2, -1],
        startDate=_MOMENTS,
        endDate=_MOMENTS,
        beamLineName=[ABSENT, None, "ID1", "id1", "β", _LONG],
        scheduled=[ABSENT, True, 0],
        comments=[ABSENT, None, "c", "d"],
        usedFlag=[ABSENT, True],
        lastUpdate=_MOMENTS,
    ),
    persons=_list(_MEMBER, 2),
)
_PROTEIN = _with(
    fields(
        externalId=[ABSENT, ABSENT, None, 0, 1, 2],
        acronym=["H", "H", "h ", "L", ABSENT, "", _LONG, "é"],
        name=[ABSENT, None, "n", "m", "x" * 256],
        safetyLevel=[ABSENT, None, "GREEN", "green", "PINK"],
        molecularMass=[ABSENT, None, 1.5, 2.5],
        isCreatedBySampleSheet=[ABSENT, None, True, False],
    ),
    person=st.one_of(st.sampled_from([ABSENT, None]), _SOMEBODY),
)
_HOLDING = [{"login": who, "session_options": {"role": role}} for who in "abo" for role in ("Staff", "Team Leader")]
_PLAIN_SESSION = _with(
    fields(
        externalId=[ABSENT, 1, 2],
        expSessionPk=[ABSENT, ABSENT, None, 1, 2],
        visit_number=[ABSENT, ABSENT, None, 1, 2],
    ),
    persons=st.sampled_from([ABSENT, [{"login": "a"}], *([person] for person in _HOLDING)]),
)
_SESSION_GIVING_UP = st.sampled_from(
    [
        *(
            {"externalId": 1, "expSessionPk": None, **more}
            for more in ({}, {"visit_number": None}, {"visit_number": 2})
        ),
        *({"externalId": 2, **more} for more in ({"expSessionPk": 1}, {"visit_number": 1})),
    ]
)
"""One that gives an expSessionPk up, or that may get it."""
_ANOTHER_ROLE = st.sampled_from(
    [
        {"externalId": number, "persons": [{"login": "o", "session_options": {"role": "Team Leader"}}]}
        for number in (1, 2)
    ]
)
"""One that finds somebody on it with another role: among all others that is too rare."""
_ONE_VISIT = st.sampled_from(
    [
        {"visit_number": 1, **more}
        for more in ({}, {"externalId": 3}, {"expSessionPk": 3}, {"expSessionPk": 3, "externalId": 3})
    ]
)
_PLAIN_PROTEIN = fields(externalId=[ABSENT, ABSENT, 1], acronym=["H", "h", "L", "L"])
"""What is likely to meet what is there, and each other."""
_PROTEINS_OF_TWO = st.sampled_from(
    [
        [{"acronym": "T", **more}, {"externalId": 2, "acronym": acronym}]
        for acronym in "RRT"
        for more in ({}, {}, {"externalId": 1}, {"name": "m"})
    ]
)
"""Of two that have one acronym: one is named by it, where the other may get a new one."""
_CARD = _with(
    fields(
        cardName=["Home", "home", "Office", "Lab", "x" * 41, ""],
        defaultCourrierCompany=[ABSENT, None, "D", "E"],
        dewarAvgCustomsValue=[ABSENT, None, 1, 2, -1],
    ),
    person=_SOMEBODY,
)
_PROPOSAL = _with(
    fields(
        externalId=[ABSENT, ABSENT, None, 0, 1, 2],
        proposalCode=["MX", "MX", "mx", "AB", ABSENT, None, ""],
        proposalNumber=["1", "1", "2", "3", ABSENT, None, "9" * 46],
        title=[ABSENT, None, "T", "U", "β", "x" * 201],
        state=[ABSENT, None, "Open", "closed", "Lost"],
    ),
    persons=_list(_PERSON, 3),
)
_AT_LABORATORY = _with(
    fields(login=["a", "a", "b", "c"]),
    laboratory=fields(
        externalId=[ABSENT, ABSENT, 1, 2],
        laboratoryExtPk=[ABSENT, 1, 2],
        name=["N", "N", "M"],
        city=[ABSENT, ABSENT, "C"],
        address=[ABSENT, "x", "y"],
    ),
)
_PERSON_GIVING_UP = st.sampled_from(
    [
        *({"externalId": 1, "login": None, **more} for more in ({}, {"siteId": None}, {"siteId": 2})),
        *({"externalId": 2, "login": "c", **more} for more in ({}, {"siteId": 1}, {"siteId": None})),
        {"login": "c", "siteId": None},
    ]
)
"""One who gives a login or a siteId up, or one who may get it."""
_PLAIN_PROPOSAL = _with(
    fields(proposalCode=["MX"], proposalNumber=["1", "1", "1", "2"]),
    persons=st.one_of(
        st.sampled_from([ABSENT, [{"login": "a"}], [{"login": "b"}, {"login": "a"}]]),
        st.lists(_AT_LABORATORY, min_size=1, max_size=3),
        st.lists(_PERSON_GIVING_UP, min_size=1, max_size=3),
    ),
    labcontacts=_list(_CARD, 3),
)

DOCUMENT = st.one_of(
    st.builds(lambda proposal: {"proposal": proposal}, _PROPOSAL),
    _with(
        st.builds(lambda proposal: {"proposal": proposal}, _PLAIN_PROPOSAL),
        sessions=st.one_of(
            *[_list(st.one_of(_SESSION, _PLAIN_SESSION, _PLAIN_SESSION, _SESSION_GIVING_UP), 3)] * 4,
            st.lists(_ONE_VISIT, min_size=2, max_size=4),
            st.lists(_ANOTHER_ROLE, min_size=1, max_size=1),
        ),
        proteins=st.one_of(
            *[_list(st.one_of(_PROTEIN, _PLAIN_PROTEIN, _PLAIN_PROTEIN), 4)] * 4,
            _PROTEINS_OF_TWO,
        ),
    ),
)
"""A proposal with its people, or one that is easily written, with all that may hang on it."""
