"""What a form is, and how it is found by its name.

A form turns what a User Portal sends into documents (`sync.model.documents`), which take the same road as any. It says
where each part of a document comes from, so that a refusal names the portal's own file and field.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module, metadata, util
from typing import Any, Protocol

from sync.model.errors import UsageError
from sync.model.refusals import Notice, printable
from sync.model.settings import Portal
from sync.read.parse import INVALID_DOCUMENT
from sync.read.turning.origin import Origin
from sync.read.turning.sent import Sent

GROUP = "ispyb_sync.formats"
"""Entry points of this group are forms of other packages; the name of an entry point is that of its form."""
_OWN = "sync.read.formats"
_is_name = re.compile(r"[a-z][a-z0-9_]*").fullmatch


@dataclass(frozen=True, slots=True)
class Converted:
    """A document, and where its parts come from, by their path in the document: proposal, sessions[0]."""

    document: dict[str, Any]
    origins: Mapping[str, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """What would have become a document and cannot, why, and what to do.

    path  where it stands in what the portal sent, such as sessions.json[3]
    code  of its refusal: INVALID_JSON where it is no JSON at all
    """

    message: str
    hint: str
    path: str = ""
    code: str = INVALID_DOCUMENT


class Form(Protocol):
    """Iterates once. Raises UnreadableExport where nothing of what was sent can be used."""

    def __iter__(self) -> Iterator[Converted | Broken]:
        """Each document in turn."""

    def notices(self) -> Iterable[Notice]:
        """What is worth telling, once all documents are through."""


class MakeForm(Protocol):
    """What the module of a form calls `Form`, and what an entry point names."""

    def __call__(self, sent: Sent, options: Portal) -> Form:
        """What was sent, in this form, read with the settings of [portal]."""


def find(name: str) -> MakeForm | None:
    """The form of this name: a module of `sync.read.formats`, or an entry point; None for documents as they are.

    Raises UsageError.
    """
    if _is_name(name) and util.find_spec(f"{_OWN}.{name}") is not None:
        own: MakeForm | None = import_module(f"{_OWN}.{name}").Form
        return own
    found = list(metadata.entry_points(group=GROUP, name=name))
    if not found:
        others = sorted(metadata.entry_points(group=GROUP).names)
        raise UsageError(
            f"there is no form {printable(name)}",
            hint=f"Give ispyb or smis{''.join(f' or {printable(other)}' for other in others)}; "
            f"or install the package that has it (entry point {GROUP}).",
        )
    try:
        form: MakeForm = found[0].load()
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"the form {printable(name)} cannot be loaded: {printable(str(error))}",
            hint=f"Correct the package of the entry point {printable(found[0].value)}.",
        ) from None
    return form
