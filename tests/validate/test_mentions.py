"""People who are known are what validation of the whole document would have given: values, refusals, notices."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.exports import validated

from sync.model.people import Known, Participant
from sync.model.refusals import REFUSED
from sync.validate.mentions import Mentions
from sync.validate.validator import Validator

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


def plain(thing: Any) -> Any:
    """What can be compared: the values of a thing, and which of them were given."""
    if thing is REFUSED or isinstance(thing, bytes | str | int | float | None):
        return thing
    if isinstance(thing, Known):
        return {name: plain(value) for name, value in thing.data.items()}, thing.model_fields_set
    if isinstance(thing, Participant):
        return plain(thing.person), plain(thing.session_options)
    if isinstance(thing, list):
        return [plain(one) for one in thing]
    return {name: plain(value) for name, value in thing.__dict__.items()}, thing.model_fields_set


def found(export: list[dict[str, Any]] | bytes) -> Any:
    valid, refusals, notices, _ = validated(export)
    told = Counter((notice.code, notice.message, notice.count) for notice in notices)
    return [plain(one.document) for one in valid], refusals, told


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(documents_of(VALID_PEOPLE, VALID_OPTIONS) | documents_of(ODD_PEOPLE, ODD_OPTIONS))
def test_known_people_are_those_of_the_whole_document(documents: list[dict[str, Any]]) -> None:
    text = "\n".join(json.dumps(document).replace("NaN", "1.5") for document in documents)
    for export in (documents, text.encode()):
        quick = found(export)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Validator, "_document", Validator._as_sent)
            assert repr(found(export)) == repr(quick)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_mention_is_validated_once(monkeypatch: pytest.MonkeyPatch, as_text: bool) -> None:
    met: list[Any] = []
    meet = Mentions._meet
    monkeypatch.setattr(Mentions, "_meet", lambda self, *rest: met.append(rest) or meet(self, *rest))
    person = {"login": "a", "laboratory": {"name": "A"}}
    export = [{"proposal": {"proposalNumber": str(number), "persons": [person, dict(person)]}} for number in range(3)]
    found(json.dumps(export).encode() if as_text else export)
    assert len(met) == 1
