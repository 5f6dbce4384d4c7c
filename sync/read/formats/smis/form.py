"""The arrays become documents, one for each pair of categoryCode and categoryCounter.

The people of a proposal are the main proposer, the other proposers, and those of the labcontacts. Where proposers are
not sent, or labcontacts are not, the list is absent: what is not known takes nobody off. Sessions have no participants.
"""

from collections.abc import Iterator
from typing import Any

from sync.model.refusals import MOST_EXAMPLES, Example, Notice, refused_value
from sync.model.settings import Portal
from sync.read.formats.smis import fields
from sync.read.formats.smis.arrays import Arrays, Group
from sync.read.formats.smis.fields import Json
from sync.read.formats.smis.unknown import UnknownKeys
from sync.read.parse import kind_of
from sync.read.turning.form import Broken, Converted
from sync.read.turning.origin import Origin
from sync.read.turning.sent import Sent

_Thing = tuple[str, Any]
"""A place such as sessions.json[3], and what stands there."""
_Pair = tuple[str | None, str]

_NOBODY = (
    "this person has no identifier; give scientistUserName, bllogin, scientistSiteId or siteId. The person is skipped "
    "here."
)


class Form:
    """Turns what was sent; `notices` tells what was odd in it."""

    def __init__(self, sent: Sent, options: Portal) -> None:
        self._arrays = Arrays(sent)
        self._options = options
        self._unknown = UnknownKeys()
        self._not_approved: list[Example] = []
        self._other_days: list[Example] = []

    def __iter__(self) -> Iterator[Converted | Broken]:
        """Each proposal in turn. Raises UnreadableExport where nothing of it are the four arrays."""
        for group in self._arrays:
            pieces = [group] if isinstance(group, Broken) else self._documents(group)
            for piece in pieces:
                yield piece if isinstance(piece, Broken) else self._converted(*piece)
        for beside in self._arrays.beside:
            self._unknown.look_beside(beside)

    def notices(self) -> Iterator[Notice]:
        """What is worth telling."""
        yield from self._unknown.notices()
        yield from _notice("not_utf8", "files that are not UTF-8 were read as Latin-1", self._arrays.latin_1)
        yield from _notice(
            "other_file", "files that are none of the four arrays were skipped", self._arrays.other_files
        )
        yield from _counted(
            "not_approved", "samples without an approval (opmodePk is not 1, 2 or 3) were skipped", self._not_approved
        )
        yield from _counted(
            "other_days",
            "the dates of a session are not the days in its name; portal.smis_months says from which number months "
            f"count, and is {self._options.smis_months} now",
            self._other_days,
        )

    def _documents(self, group: Group) -> Iterator[Broken | tuple[_Pair, dict[str, list[_Thing]]]]:
        """The parts of each proposal; what names no proposal is broken."""
        pairs: dict[_Pair, dict[str, list[_Thing]]] = {}
        for name, array in group.arrays.items():
            for number, thing in enumerate(array):
                place = f"{group.places[name]}[{number}]"
                pair = _pair(thing, name)
                if isinstance(pair, str):
                    yield Broken(pair, "Correct it in the User Portal or in its export.", place)
                    continue
                of_pair = pairs.setdefault(pair, {name: [] for name in group.arrays})
                of_pair[name].append((place, thing))
                self._unknown.look(name, thing, place, _label(pair))
        yield from pairs.items()

    def _converted(self, pair: _Pair, parts: dict[str, list[_Thing]]) -> Converted:
        origins: dict[str, Origin] = {}
        code, number = pair
        label = _label(pair)
        proposal: Json = {"proposalCode": code, "proposalNumber": number}
        document: Json = {"proposal": proposal}
        self._proposal(proposal, parts, origins)
        if "sessions" in parts:
            sessions = document["sessions"] = []
            for place, sent in parts["sessions"]:
                sessions.append(self._session(place, sent, f"sessions[{len(sessions)}]", label, origins))
        if "samples" in parts:
            proteins = document["proteins"] = []
            for place, sent in parts["samples"]:
                if _approved(sent.get("opmodePk")):
                    proteins.append(_protein(place, sent, f"proteins[{len(proteins)}]", origins))
                else:
                    shown = refused_value(sent.get("opmodePk"))
                    self._not_approved.append(Example(None, label, f"{place}.opmodePk", shown))
        return Converted(document, origins)

    def _proposal(self, proposal: Json, parts: dict[str, list[_Thing]], origins: dict[str, Origin]) -> None:
        proposers = sorted(parts.get("proposers", ()), key=lambda thing: thing[1].get("mainProposer") is not True)
        contacts = parts.get("labcontacts", [])
        others = [thing for name in ("samples", "sessions") for thing in parts.get(name, ())]
        place, first = next(iter([*proposers, *contacts, *others]))
        names = fields.PROPOSAL if "categoryCode" in first or "categoryCounter" in first else fields.PROPOSAL_OF_SESSION
        nobody = {"no_proposer": _no_proposer(parts)}
        also = {"title": "proposalTitle", "persons": "proposers"}
        origins["proposal"] = Origin(place, also | names, refusals=nobody)
        titled = next((sent for _, sent in [*proposers, *contacts, *others] if "proposalTitle" in sent), None)
        if titled is not None:
            proposal["title"] = titled["proposalTitle"]
        if "proposers" in parts and "labcontacts" in parts:
            people = [*proposers, *contacts]
            proposal["persons"] = [fields.person(sent) for _, sent in people]
            for number, (place, sent) in enumerate(people):
                _person_from(place, sent, f"proposal.persons[{number}]", origins)
        if "labcontacts" in parts:
            names_of_cards = fields.CardNames()
            cards = proposal["labcontacts"] = []
            for place, sent in contacts:
                path = f"proposal.labcontacts[{len(cards)}]"
                person = fields.person(sent)
                cards.append({"cardName": names_of_cards.name(sent, person), "person": person})
                origins[path] = Origin(place, {"cardName": "scientistName"})
                _person_from(place, sent, f"{path}.person", origins)

    def _session(self, place: str, sent: Json, path: str, label: str, origins: dict[str, Origin]) -> Json:
        plain = ("expSessionPk", "nbShifts", "beamLineName")
        made = {ours: sent[fields.SESSION[ours]] for ours in plain if fields.SESSION[ours] in sent}
        names = dict(fields.SESSION)
        messages: dict[str, str] = {}
        for name in ("startDate", "endDate"):
            if name in sent:
                try:
                    made[name] = fields.moment(sent[name], self._options.smis_months)
                except ValueError as error:
                    made[name] = sent[name]
                    messages[name] = f"{error}; the session is refused. Correct it in the User Portal."
        dewars = next((n for n in ("reimbursedDewars", "reimbursedDays") if sent.get(n) is not None), None)
        if dewars is not None:
            made["nbReimbDewars"], names["nbReimbDewars"] = sent[dewars], dewars
        if "firstLocalContact" in sent:
            made["beamLineOperator"], made["operatorSiteNumber"] = fields.local_contact(sent)
        cancelled = sent.get("cancelled")
        made["scheduled"] = {True: fields.CANCELLED, False: 1, None: 1}.get(cancelled) if _is_flag(cancelled) else "?"
        messages["scheduled"] = (
            f"true or false is expected, not {kind_of(cancelled)}; the session is refused. Send true or false."
        )
        if self._options.smis_visit == "name":
            made["visit_number"] = fields.visit_number(sent)
            messages["visit_number"] = (
                "the name of the session is no visit number; the session is refused. Correct it, or set smis_visit."
            )
        elif self._options.smis_visit == "startShift":
            made["visit_number"], names["visit_number"] = sent.get("startShift"), "startShift"
        if (date := fields.other_day(sent, made)) is not None:
            self._other_days.append(Example(None, label, f"{place}.{date}", f"{made[date]} ({sent['name']})"))
        messages[""] = "this session has no identifier; give pk. The session is refused."
        origins[path] = Origin(place, names, messages)
        return made


def _protein(place: str, sent: Json, path: str, origins: dict[str, Origin]) -> Json:
    made = {ours: sent[theirs] for ours, theirs in fields.SAMPLE.items() if theirs in sent}
    made["safetyLevel"] = fields.LEVELS[sent["opmodePk"]]
    made["isCreatedBySampleSheet"] = True
    nameless = "this sample has no identifier; give acronym. The protein is refused."
    origins[path] = Origin(place, fields.SAMPLE, {"": nameless})
    return made


def _person_from(place: str, sent: Json, path: str, origins: dict[str, Origin]) -> None:
    origins[path] = Origin(place, fields.person_fields(sent), {"": _NOBODY})
    origins[f"{path}.laboratory"] = Origin(place, fields.LABORATORY)


def _label(pair: _Pair) -> str:
    code, number = pair
    return number if code is None else f"{code}-{number}"


def _no_proposer(parts: dict[str, list[_Thing]]) -> str:
    """Why a new proposal has nobody."""
    missing = [name for name in ("proposers", "labcontacts") if name not in parts]
    if missing:
        which = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing"
        return (
            "a new proposal needs a person, and people are taken only where both proposers and labcontacts are sent; "
            f"{which}. Send both arrays; one without people is empty."
        )
    return "a new proposal needs a person that was not refused. Give at least one in proposers."


def _approved(opmode: object) -> bool:
    return type(opmode) is int and opmode in fields.LEVELS


def _is_flag(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _pair(thing: object, array: str) -> _Pair | str:
    """Code and number of the proposal that an object is of, or what is wrong with it."""
    code_name, number_name = (
        ("categCode", "categCounter") if array == "sessions" else ("categoryCode", "categoryCounter")
    )
    if not isinstance(thing, dict):
        return f"an object is expected, not {kind_of(thing)}"
    code, number = thing.get(code_name), thing.get(number_name)
    if code is not None and not isinstance(code, str):
        return f"{code_name}: text is expected, not {kind_of(code)}"
    if type(number) is int:
        number = str(number)
    if not isinstance(number, str) or not number.strip():
        return f"{number_name} is missing, or is no number: it belongs to no proposal"
    return (code.strip() or None if code is not None else None), number.strip()


def _notice(code: str, words: str, names: list[str]) -> Iterator[Notice]:
    if names:
        yield from _counted(code, words, [Example(None, None, "", name) for name in names])


def _counted(code: str, words: str, examples: list[Example]) -> Iterator[Notice]:
    if examples:
        yield Notice(code, words, len(examples), tuple(examples[:MOST_EXAMPLES]))
