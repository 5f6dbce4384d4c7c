"""What `portal:MX-2112` and `portal:all` ask for, and how that is written into a URL or into a command."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from sync.model.errors import NoSuchProposal, UsageError
from sync.model.refusals import printable

PREFIX = "portal:"
NAME = r"([A-Za-z][A-Za-z0-9_]{0,44}-)?[A-Za-z0-9_]{1,45}"
"""What a proposal may be called that somebody asks for by a token or an event: nothing that means more in a URL."""
_ALL = "all"
_is_name = re.compile(NAME).fullmatch
_PLACEHOLDER = re.compile(r"\{(proposal|code|number)\}")


@dataclass(frozen=True, slots=True)
class Address:
    """One proposal, as CODE-NUMBER, or everything (`proposal` is None then)."""

    proposal: str | None

    @property
    def name(self) -> str:
        """How a report and the history call it."""
        return PREFIX + (_ALL if self.proposal is None else printable(self.proposal))

    @property
    def only(self) -> frozenset[str]:
        """The proposals whose documents are taken from the answer; none of them named means all.

        A number without a code may stand for a proposal that the documents name with its code: it selects nothing.
        """
        if self.proposal is None or "-" not in self.proposal:
            return frozenset()
        return frozenset([self.proposal])

    def in_url(self, template: str) -> str:
        """The URL, with the parts of the name escaped."""
        return _PLACEHOLDER.sub(lambda found: quote(self._parts[found[1]], safe=""), template)

    def in_command(self, template: Sequence[str]) -> list[str]:
        """The arguments. Raises NoSuchProposal where the name would be read as an option."""
        filled = [_PLACEHOLDER.sub(lambda found: self._parts[found[1]], argument) for argument in template]
        for argument, before in zip(filled, template, strict=True):
            if argument.startswith("-") and not before.startswith("-"):
                raise NoSuchProposal(
                    f"{self.name}: a command would read {printable(argument)} as an option",
                    hint="The name of a proposal is CODE-NUMBER, such as MX-2112.",
                )
        return filled

    @property
    def _parts(self) -> dict[str, str]:
        proposal = self.proposal or ""
        code, _, number = proposal.rpartition("-")
        return {"proposal": proposal, "code": code, "number": number}


def names_one(text: str) -> bool:
    """Whether this is how one proposal may be called, and not everything."""
    return _is_name(text) is not None and text != _ALL


def address(export: object) -> Address | None:
    """What an export's name asks of the User Portal; None for a file, a stream or documents. Raises UsageError."""
    if not isinstance(export, str | os.PathLike):
        return None
    text = os.fsdecode(export)
    if not text.startswith(PREFIX):
        return None
    proposal = text.removeprefix(PREFIX)
    if proposal == _ALL:
        return Address(None)
    if not proposal or proposal != proposal.strip() or not proposal.isprintable() or proposal.endswith("-"):
        raise UsageError(
            f"{PREFIX}{printable(proposal)} names no proposal",
            hint="Give portal:CODE-NUMBER, such as portal:MX-2112, or portal:all.",
        )
    return Address(proposal)
