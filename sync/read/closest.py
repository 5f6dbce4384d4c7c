"""Names that were probably meant: keys and proposals that are nearly those that are known."""

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

_KEYS_ALIKE = 0.75


def closest_key(key: str, known: Collection[str]) -> str | None:
    """The known key that a misspelt one most likely means, such as proposalNumber for proposal_number."""
    by_lower_case = {name.lower(): name for name in sorted(known)}
    close = get_close_matches(key.lower(), by_lower_case, n=1, cutoff=_KEYS_ALIKE)
    return by_lower_case[close[0]] if close else None


def did_you_mean(key: str, known: Collection[str]) -> str:
    """What stands behind an unknown key; nothing where none that is known is near."""
    close = closest_key(key, known)
    return f" (did you mean {close}?)" if close else ""


def folded(label: str) -> str:
    """The label of a proposal as the usual collations compare it: without case, accents, blanks around its parts."""
    if label.isascii():
        letters = label.casefold()
    else:
        parts = unicodedata.normalize("NFKD", label.casefold())
        letters = "".join(letter for letter in parts if not unicodedata.combining(letter))
    return "-".join(part.strip() for part in letters.split("-"))


def nearest(label: str, labels: Iterable[str]) -> list[str]:
    """Of the labels of proposals those that are most like this one, at most three."""
    by_letters = {folded(other): other for other in labels}
    return [by_letters[letters] for letters in get_close_matches(folded(label), by_letters, n=3)]
