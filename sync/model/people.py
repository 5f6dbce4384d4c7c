"""The people of a document: somebody, where one works, how one takes part in a session.

One class per entity, as in `sync.model.documents`. A person is named again on every session, so equal ones are equal
here, quickly: they do not change once they are made, and keep their hash.
"""

from typing import Annotated, Any, ClassVar, NamedTuple, TypeAlias, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from sync.model.values import ExternalId, Flag, Key, OldKey, Phone, Text

_Value = TypeVar("_Value")

Maybe: TypeAlias = _Value | UnsetType | None
"""A value, null, or absent: UNSET tells the last two apart."""

ROLES = (
    *("Local Contact", "Local Contact 2", "Staff", "Team Leader", "Co-Investigator", "Principal Investigator"),
    *("Alternate Contact", "Data Access", "Team Member", "ERA Admin", "Associate"),
)
"""What the column of roles in a session takes; some sites have the first seven only."""

EXTERNAL_ID = (
    "Integer 0 ... 2^128-1 or UUID. Feeds {}.externalId (16 bytes, big-endian). 0 counts as an id, not as empty."
)


def about(title: str, description: str, *examples: object, **more: object) -> Meta:
    """What the JSON Schema says of a field."""
    return Meta(title=title, description=description, examples=list(examples) or None, extra_json_schema=more or None)


class _Refused:
    """The place of a thing that was refused."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "REFUSED"


REFUSED: Any = _Refused()
"""Stands in a list of a validated document for a thing that was refused, so that positions stay."""


class Thing:
    """What has a row of its own, of this entity. `named_by` are the fields of which it must give one."""

    __slots__ = ()

    entity: ClassVar[str]
    named_by: ClassVar[tuple[str, ...]] = ()


class _Lasting(Thing, Struct, frozen=True, cache_hash=True, gc=False, forbid_unknown_fields=True):
    """A thing that does not change."""


class Laboratory(_Lasting, frozen=True):
    """The institute a person works for."""

    entity = "laboratory"
    named_by = ("externalId", "laboratoryExtPk", "name")

    externalId: Annotated[Maybe[ExternalId], about("External id", EXTERNAL_ID.format("Laboratory"), 12)] = UNSET
    laboratoryExtPk: Annotated[
        Maybe[OldKey],
        about(
            "User Portal key",
            "Integer; 0 is null. Feeds Laboratory.laboratoryExtPk (laboratoryPk in some schemas).",
            12,
        ),
    ] = UNSET
    name: Annotated[Maybe[Key], about("Name", "Text. Feeds Laboratory.name (45 characters).", "DESY")] = UNSET
    address: Annotated[
        Maybe[Text], about("Address", "Text. Feeds Laboratory.address (255 characters).", "Notkestraße 85")
    ] = UNSET
    city: Annotated[Maybe[Key], about("City", "Text. Feeds Laboratory.city (45 characters).", "Hamburg")] = UNSET
    country: Annotated[Maybe[Key], about("Country", "Text. Feeds Laboratory.country (45 characters).", "Germany")] = (
        UNSET
    )
    url: Annotated[
        Maybe[Text], about("Web page", "URL. Feeds Laboratory.url (255 characters).", "https://www.desy.de")
    ] = UNSET
    organization: Annotated[
        Maybe[Text], about("Organization", "Text. Feeds Laboratory.organization (45 characters).", "Helmholtz")
    ] = UNSET


class Person(_Lasting, frozen=True):
    """Somebody named in a proposal, a session, a protein or a lab contact."""

    entity = "person"
    named_by = ("externalId", "login", "siteId")

    givenName: Annotated[Maybe[Text], about("Given name", "Text. Feeds Person.givenName (45 characters).", "Ada")] = (
        UNSET
    )
    familyName: Annotated[
        Maybe[Text], about("Family name", "Text. Feeds Person.familyName (100 characters).", "Weaver")
    ] = UNSET
    title: Annotated[Maybe[Text], about("Title", "Such as Dr. Feeds Person.title (45 characters).", "Dr")] = UNSET
    login: Annotated[Maybe[Key], about("Login", "Account name. Feeds Person.login (45 characters).", "aweaver")] = UNSET
    externalId: Annotated[Maybe[ExternalId], about("External id", EXTERNAL_ID.format("Person"), 157)] = UNSET
    siteId: Annotated[
        Maybe[OldKey],
        about(
            "Site id",
            "Older key of the User Portal; give externalId instead; 0 is null. Feeds Person.siteId, an integer.",
            157,
            deprecated=True,
        ),
    ] = UNSET
    emailAddress: Annotated[
        Maybe[Text],
        about("E-mail address", "Text. Feeds Person.emailAddress (60 characters).", "ada.weaver@example.org"),
    ] = UNSET
    phoneNumber: Annotated[
        Maybe[Phone],
        about("Phone number", 'Text; "None" counts as null. Feeds Person.phoneNumber (45 characters).', "+49 40 1234"),
    ] = UNSET
    faxNumber: Annotated[
        Maybe[Phone],
        about("Fax number", 'Text; "None" counts as null. Feeds Person.faxNumber (45 characters).', "+49 40 1235"),
    ] = UNSET
    laboratory: Annotated[Maybe[Laboratory], about("Laboratory", "Feeds Person.laboratoryId.")] = UNSET


class SessionOptions(_Lasting, frozen=True):
    """How a person takes part in a session."""

    entity = "session_has_person"

    role: Annotated[
        Maybe[Text],
        about(
            "Role",
            "One of the roles of Session_has_Person.role, such as Team Leader (22 characters).",
            "Team Leader",
            enum=[*ROLES, None],
        ),
    ] = UNSET
    remote: Annotated[
        Maybe[Flag], about("Remote", "true or 1: takes part from afar. Feeds Session_has_Person.remote.", True)
    ] = UNSET


class SessionPerson(Person, frozen=True):
    """A person who takes part in a session."""

    session_options: Annotated[Maybe[SessionOptions], about("Session options", "Feeds Session_has_Person.")] = UNSET


class Participant(Struct, frozen=True, gc=False):
    """A valid person on a session, and how that person takes part."""

    person: Person
    session_options: SessionOptions | None


class Holds(NamedTuple):
    """What the text of a part of a document says, which is read apart from the document: equal texts once."""

    model: type[Thing]


def _reference(model: type[Thing]) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{model.__name__}"}


SomePerson = Annotated[Raw, Meta(extra_json_schema=_reference(Person)), Holds(Person)]
SomeParticipant = Annotated[Raw, Meta(extra_json_schema=_reference(SessionPerson)), Holds(SessionPerson)]
PersonOrNull = Annotated[Raw, Meta(extra_json_schema={"anyOf": [_reference(Person), {"type": "null"}]}), Holds(Person)]
