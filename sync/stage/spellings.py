"""People who are mentioned again: whether a mention says anything new, if only another spelling of a login.

What equals what is the database's to say, by its collation; here it is enough that two logins may be equal.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sync.model.entities import PERSON
from sync.model.people import Known


def says_the_same(mention: dict[str, Any], known: dict[str, Any]) -> bool:
    """Whether two mentions are equal, their laboratories too."""
    here, there = mention["laboratory"], known["laboratory"]
    if here is not there and (here is None or there is None or here.data != there.data):
        return False
    return all(value == known[name] for name, value in mention.items() if name != "laboratory")


def says_nothing_new(mention: dict[str, Any], known: dict[str, Any]) -> bool:
    """Whether a mention gives nothing but keys of another one: {externalId, login} of somebody described elsewhere."""
    return all(v is None or (name in PERSON.keys and v == known[name]) for name, v in mention.items())


def spelled_otherwise(people: Iterable[Known], brief: Collection[Known]) -> Iterator[Known]:
    """Of brief mentions, those of whose login somebody who is named by a login alone has another spelling.

    Any of the two, and of what the brief one repeats, may be the last one, whose spelling is written. What is kept is
    looked at again, as it may be mentioned again.
    """
    alone: dict[str | None, set[str]] = {}
    for known in people if brief else ():
        if (login := known.data["login"]) is not None and known.data["externalId"] is None:
            alone.setdefault(_without_case(login), set()).add(login)
    for known in brief if alone else ():
        login = known.data["login"]
        folded = None if login is None else _without_case(login)
        alike = alone.values() if folded is None else (alone.get(folded, set()), alone.get(None, set()))
        if login is not None and set().union(*alike) - {login}:
            yield known


def _without_case(login: str) -> str | None:
    """The same for logins that a collation may hold equal; None for one that may equal many."""
    return login.rstrip(" ").lower() if login.isascii() else None
