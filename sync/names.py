"""Names that were probably meant: keys and proposals that are nearly those that are known."""

from collections.abc import Collection
from difflib import get_close_matches

_KEYS_ALIKE = 0.75


def closest_key(key: str, known: Collection[str]) -> str | None:
    """The known key that a misspelt one most likely means, such as proposalNumber for proposal_number."""
    by_lower_case = {name.lower(): name for name in sorted(known)}
    close = get_close_matches(key.lower(), by_lower_case, n=1, cutoff=_KEYS_ALIKE)
    return by_lower_case[close[0]] if close else None
