"""A document that msgspec took becomes a valid one, with its people in the places of their texts.

Refuses nothing itself: where anything does not fit, `sync.validate.check` tells what, and where.
"""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sync.model.documents import Document, LabContact, Proposal, Protein, Session, WithUnknownKeys
from sync.read.levels import ROOT
from sync.validate.keep import Keeper
from sync.validate.mentions import Mentions, Tell
from sync.validate.unknown_keys import Odd, Place, unknown_keys_around_people

_NULL = b"null"


class Quick:
    """The documents of one export, one by one."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._mentions = Mentions(zone)
        kinds = {kind.model: kind for kind in ROOT.all()}
        self._proposal, self._card = Keeper(kinds[Proposal], zone), Keeper(kinds[LabContact], zone)
        self._session, self._protein = Keeper(kinds[Session], zone), Keeper(kinds[Protein], zone)

    def keep(self, document: Document, text: bytes) -> list[Odd]:
        """Makes the document valid, where it is; returns what is odd in it. Raises ValueError where it does not fit."""
        mentions = self._mentions
        proposal: Any = document.proposal
        odd = self._proposal.keep([proposal])

        def tell(place: Place) -> Tell:
            return lambda found: odd.extend(place.of(found))

        if proposal.persons:
            proposal.persons = mentions.people(proposal.persons, tell(Place.PROPOSAL))
        if proposal.labcontacts:
            odd += self._card.keep(proposal.labcontacts)
            self._each_person(proposal.labcontacts, tell(Place.LAB_CONTACT))
        if document.sessions:
            odd += self._session.keep(document.sessions)
            session: Any
            tell_of_session = tell(Place.SESSION)
            for session in document.sessions:
                if session.persons:
                    session.persons = mentions.participants(session.persons, tell_of_session)
        if document.proteins:
            odd += self._protein.keep(document.proteins)
            protein: Any
            for protein in document.proteins:
                if protein.person and bytes(protein.person) == _NULL:
                    protein.person = None
            self._each_person([protein for protein in document.proteins if protein.person], tell(Place.PROTEIN))
        if isinstance(document, WithUnknownKeys):
            odd += unknown_keys_around_people(text)
        return odd

    def _each_person(self, things: Sequence[Any], tell: Tell) -> None:
        """Puts people in the places of their texts."""
        for thing, person in zip(things, self._mentions.people([t.person for t in things], tell), strict=True):
            thing.person = person
