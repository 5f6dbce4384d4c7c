"""The quick way and the thorough one make the same of a document: values, refusals, notices."""

import json
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exports import validated

from sync.read import slot
from sync.validate import mentions

VALID_PEOPLE = st.fixed_dictionaries(
    {"login": st.sampled_from(["a", "A"])},
    optional={
        "externalId": st.sampled_from([1, 2, 2**70, 2**70 + 1, "7c9e6679-7425-40de-944b-e07fc1f90ae7"]),
        "familyName": st.sampled_from(["N" * 100, "N" * 99 + "n", None]),
        "phoneNumber": st.sampled_from(["1", "None", None]),
        "laboratory": st.fixed_dictionaries({"name": st.sampled_from(["A", "a"])}),
    },
)
"""Alike, but for a letter or a digit."""
VALID_OPTIONS = st.fixed_dictionaries(
    {"role": st.sampled_from(["Staff", "staff", None])}, optional={"remote": st.booleans()}
)
LABORATORIES = st.one_of(
    st.none(),
    st.fixed_dictionaries({}, optional={"name": st.sampled_from(["A", "a", "", None, 5]), "type": st.just("x")}),
    st.just("no object"),
)
ODD_PEOPLE = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "login": st.sampled_from(["a", "b", "", None, 5, True]),
            "externalId": st.sampled_from([0, 1, True, 1.0, 2**70, -1, None, "7c9e6679-7425-40de-944b-e07fc1f90ae7"]),
            "siteId": st.sampled_from([1, 1.5, None, "1", float("nan")]),
            "phoneNumber": st.sampled_from(["None", "1", None]),
            "type": st.just("cowriter"),
            "laboratory": LABORATORIES,
        },
    ),
)
ODD_OPTIONS = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["Staff", 1, None]),
            "remote": st.sampled_from([True, 1, 2.5]),
            "x": st.none(),
        },
    ),
)


def documents_of(people: st.SearchStrategy[Any], options: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Exports that name such people in all places."""
    on_sessions = st.lists(
        st.one_of(people, st.builds(lambda p, o: (p or {}) | {"session_options": o}, people, options)), max_size=3
    )
    card = st.builds(lambda p: {"cardName": "c", "person": p}, people)
    return st.lists(
        st.fixed_dictionaries(
            {
                "proposal": st.fixed_dictionaries(
                    {"proposalNumber": st.just("1"), "persons": st.lists(people, max_size=3)},
                    optional={"labcontacts": st.lists(card, max_size=1)},
                ),
                "sessions": st.lists(
                    st.fixed_dictionaries({"externalId": st.just(1)}, optional={"persons": on_sessions}), max_size=2
                ),
                "proteins": st.lists(
                    st.fixed_dictionaries({"acronym": st.just("p")}, optional={"person": people}), max_size=2
                ),
            }
        ),
        min_size=1,
        max_size=3,
    )


def found(export: list[dict[str, Any]] | bytes) -> Any:
    valid, refusals, notices, _ = validated(export)
    told = Counter((notice.code, notice.message, notice.count, notice.examples) for notice in notices)
    return [_with_known_keys(one.document) for one in valid], refusals, told


def _with_known_keys(document: Any) -> str:
    """What can be compared: one class for all documents."""
    text = repr(document).replace("WithUnknownKeys(", "Document(")
    return re.sub(r"\b_(Proposal|Session|Protein|LabContact)\(", r"\1(", text)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(documents_of(VALID_PEOPLE, VALID_OPTIONS) | documents_of(ODD_PEOPLE, ODD_OPTIONS))
def test_both_ways_give_the_same(documents: list[dict[str, Any]]) -> None:
    text = "\n".join(json.dumps(document).replace("NaN", "1.5") for document in documents).encode()
    quick = found(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slot, "fitting", lambda text: None)
        assert found(text) == quick


PERSON = '"login":"a","laboratory":{"name":"A"}'
OPTIONS = '"session_options":{"role":"Staff"}'
TEXTS = {
    "options last": f"{{{PERSON},{OPTIONS}}}",
    "with blanks": f"{{ {PERSON} ,\n {OPTIONS[:17]} : {OPTIONS[18:]} }}",
    "options first": f"{{{OPTIONS},{PERSON}}}",
    "options between": f'{{"login":"a",{OPTIONS},"laboratory":{{"name":"A"}}}}',
    "options twice": f'{{{PERSON},"session_options":{{"role":"x"}},{OPTIONS}}}',
    "an escape in their name": f"{{{PERSON},{OPTIONS}}}".replace("session_", "session\\u005f"),
    "their name as a value": f'{{{PERSON},{OPTIONS},"title":"session_options"}}',
    "somebody else's options": f'{{{PERSON},{OPTIONS},"x":{{"session_options":{{"role":"x"}}}}}}',
    "a laboratory's options": f'{{{OPTIONS},"login":"a","laboratory":{{"name":"A","session_options":{{"role":"x"}}}}}}',
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_how_somebody_takes_part_may_stand_anywhere(text: str) -> None:
    export = f'{{"proposal":{{"proposalNumber":"1"}},"sessions":[{{"visit_number":1,"persons":[{text},{text}]}}]}}'
    (valid,), refusals, _, _ = validated(export.encode())
    assert refusals == []
    for participant in valid.document.sessions[0].persons:
        person, options = participant.person, participant.session_options
        assert (person.login, person.laboratory.name, options.role) == ("a", "A", "Staff")


def test_each_text_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[Any] = []
    read = mentions._Reads.__call__
    monkeypatch.setattr(mentions._Reads, "__call__", lambda self, text: met.append(text) or read(self, text))
    person = {"login": "a", "laboratory": {"name": "A"}}
    session = {"visit_number": 1, "persons": [person | {"session_options": {"role": "Staff"}}]}
    export = [
        {"proposal": {"proposalNumber": str(number), "persons": [person, person]}, "sessions": [session, session]}
        for number in range(3)
    ]
    found("\n".join(map(json.dumps, export)).encode())
    assert len(met) == 3  # on proposals, on sessions, and how they take part
