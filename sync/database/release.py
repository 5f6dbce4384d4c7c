"""Which release of the tool this is."""

from functools import cache
from importlib.metadata import version


@cache
def tool_version() -> str:
    """As the installed package says; kept, since looking takes longer than most statements of a small run."""
    return version("ispyb-sync")
