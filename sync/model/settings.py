"""Settings: from flags, then `ISPYB_SYNC_*` environment variables, then `ispyb-sync.toml`.

Each is declared here, once, with its help: `sync.cli.flags` makes the flags of commands from these fields.
The file is looked for in the working directory. No setting has a silent fallback: a value that
cannot be used is an error that names it.
"""

import os
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from sync.model.entities import ENTITIES, Entity
from sync.model.errors import UsageError
from sync.model.tables.portal import Portal as Portal
from sync.model.tables.triggers import Auth, Listen, Serve

SETTINGS_FILE = "ispyb-sync.toml"
LISTED_RUNS = 50
"""So many runs of history are listed where nobody asks for another number."""


def _setting(default: Any, description: str, *, metavar: str | None = None) -> Any:
    """A setting; `metavar` is what help calls its value."""
    return Field(default=default, description=description, json_schema_extra={"metavar": metavar})


class Settings(BaseSettings):
    """What a run needs to know besides the export."""

    model_config = SettingsConfigDict(
        env_prefix="ISPYB_SYNC_", toml_file=SETTINGS_FILE, extra="forbid", env_nested_delimiter="__"
    )

    database: SecretStr | None = _setting(
        None,
        "SQLAlchemy URL of the ISPyB schema, such as mysql+pymysql://sync@host/ispyb; better given as "
        "ISPYB_SYNC_DATABASE, which no process list shows.",
        metavar="URL",
    )
    staging_schema: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")] = _setting(
        "ispyb_sync", "The tool's own schema, on the same server.", metavar="NAME"
    )
    timezone: str = _setting("UTC", "Zone of dates that carry an offset.", metavar="IANA")
    nulls: Literal["keep", "clear"] = _setting("keep", "A null in a document keeps the column, or clears it.")
    strict: bool = _setting(False, "Roll back if anything was refused.")
    recheck: bool = _setting(
        False,
        "Examine every document. Without it, a run skips each document that has not changed since a run last took it, "
        "and whose rows in ISPyB have not changed either; the result is the same.",
    )
    prune: Literal["none", "owned", "all"] = _setting(
        "none",
        "Delete links to people whom a list of the export no longer names: those that this tool made, as its "
        "history says, or all. A list that is absent, null, or has somebody refused deletes nothing; nor is the "
        "proposer ever deleted.",
    )
    prune_limit: Annotated[str, Field(pattern=r"^\d{1,9}$|^\d{1,2}(\.\d+)?%$|^100%$")] = _setting(
        "5%",
        "Stop (exit 4) rather than delete more links: a share of the links of the export's proposals, but never "
        "less than 20, or a number.",
        metavar="LIMIT",
    )
    full: bool = _setting(
        False,
        "The export is the whole facility: list the proposals and sessions that ISPyB knows by an externalId and "
        "the export no longer has. They are left as they are.",
    )
    mask: bool = _setting(
        False,
        "Hide values and people's names in reports and their files; show only their length. History then keeps no "
        "refused value, but old and new ones, which undo needs.",
    )
    lock_timeout: Annotated[int, Field(ge=0, le=86_400)] = _setting(
        60, "How long to wait for another run.", metavar="SECONDS"
    )
    max_document_mb: Annotated[float, Field(gt=0, le=1024)] = _setting(
        8.0, "Largest document that is read, in MB (10^6 bytes).", metavar="MB"
    )

    format: str | None = _setting(
        None,
        "Form of the export: ispyb (documents), smis (the User Portal JSON of Java ISPyB: a folder, a zip, or one "
        "object), or one of a package of yours. Default: ispyb; for the User Portal the setting portal.format.",
        metavar="FORM",
    )
    leave: list[str] = _setting(
        [],
        "Leave an entity (lab_contact) or a field (person.phoneNumber) to ISPyB: found, and never written. Repeatable.",
        metavar="NAME",
    )
    portal: Portal = Field(default_factory=Portal, description="Where the User Portal is")
    serve: Serve = Field(default=Serve(), description="The endpoint")
    auth: Auth | None = Field(default=None, description="Who may use the endpoint")
    listen: Listen = Field(default=Listen(), description="The consumer of the broker's events")

    def database_url(self) -> str:
        """The URL of ISPyB; raises UsageError where none is set."""
        if self.database is None:
            raise UsageError(
                "no database is set",
                hint="Give --database URL, or set ISPYB_SYNC_DATABASE, or `database` in " + SETTINGS_FILE + ".",
            )
        return self.database.get_secret_value()

    @property
    def left_entities(self) -> tuple[Entity, ...]:
        """The entities that are left to ISPyB."""
        return tuple(entity for entity in ENTITIES if entity.name in self.leave)

    @property
    def left_fields(self) -> frozenset[str]:
        """The fields that are left to ISPyB, each as person.phoneNumber."""
        return frozenset(name for name in self.leave if "." in name)

    @field_validator("leave")
    @classmethod
    def _can_be_left(cls, names: list[str]) -> list[str]:
        fields = {f"{e.name}.{field}" for e in ENTITIES for field in {*e.columns} - {*e.keys}}
        for name in sorted({*names} - {e.name for e in ENTITIES} - fields):
            example = "lab_contact, or a field of one that is no key, such as person.phoneNumber"
            raise ValueError(f"{name!r} cannot be left to ISPyB; an entity can be, such as {example}")
        return sorted({*names})

    @property
    def leaves_out(self) -> bool:
        """Whether documents may be left out: not where rows are left to ISPyB, which their digests cannot tell from
        others."""
        return not (self.recheck or self.full or self.leave)

    @field_validator("prune_limit", mode="before")
    @classmethod
    def _limit_as_text(cls, limit: object) -> object:
        return str(limit) if type(limit) is int else limit

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is not an IANA time zone such as Europe/Paris") from None
        return name

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


_PREFIX = "ispyb_sync_"
_OF_TESTS = "test_server"
"""The server for the demo and the tests, `sync.demo.server`."""
_EXPECTED = {
    "prune_limit": "a share such as 5%, or a number, is expected",
    "staging_schema": "letters, digits and _ are expected, at most 64",
}
"""What a pattern means."""


def _complaint(error: ErrorDetails) -> str:
    """A wrong setting and what is wrong with it, without its value."""
    name = ".".join(map(str, error["loc"]))
    match error["type"]:
        case "string_pattern_mismatch":
            words = _EXPECTED.get(name, error["msg"])
        case "extra_forbidden":
            words = "no such setting"
        case _:
            words = error["msg"]
    return f"{name}: {words.removeprefix('Value error, ')}"


def _is_unknown(variable: str) -> bool:
    """Whether a variable of the environment looks like a setting and is none: one that is misspelt does nothing."""
    name = variable.lower()
    known = {*Settings.model_fields, _OF_TESTS}
    return name.startswith(_PREFIX) and name.removeprefix(_PREFIX).partition("__")[0] not in known


def load_settings(**flags: object) -> Settings:
    """Settings of this call; flags that are None count as not given.

    Raises UsageError that names every wrong setting at once, without its value: it may be a secret.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    wrong = [f"{name}: no such setting" for name in sorted(os.environ) if _is_unknown(name)]
    try:
        settings = Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong += [_complaint(e) for e in error.errors(include_input=False)]
    except (OSError, ValueError) as error:  # a TOML file that is broken, or not ours to read
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{SETTINGS_FILE}: {reason}", hint="Correct the file.") from None
    if wrong:
        raise UsageError(
            "settings: " + "; ".join(wrong),
            hint=f"Correct the flag, the ISPYB_SYNC_* variable or {SETTINGS_FILE}.",
        )
    return settings
