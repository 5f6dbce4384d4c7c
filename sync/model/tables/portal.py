"""[portal]: where the User Portal is, and how what it sends is read."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_BRACES = re.compile(r"\{[^{}]*\}")
_OF_ONE = ("{proposal}", "{number}")


class Portal(BaseModel):
    """Where the User Portal is: `portal:CODE-NUMBER` is asked by `url` or `command`, `portal:all` by the others."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(
        default=None, description="URL of one proposal, with {proposal}, or {code} and {number}, in it"
    )
    all_url: str | None = Field(default=None, description="URL of an export of everything")
    command: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="A program and its arguments, with the same placeholders, that prints one proposal"
    )
    all_command: Annotated[list[str], Field(min_length=1)] | None = Field(
        default=None, description="A program and its arguments that prints everything"
    )
    token_file: Path | None = Field(default=None, description="File with a token, sent as Authorization: Bearer")
    format: str = Field(default="ispyb", description="Form of what it sends: ispyb, smis, or one of your own")
    timeout: Annotated[float, Field(gt=0, le=86_400)] = Field(
        default=30, description="Seconds to wait for an answer, and for each next part of it"
    )
    ca: Path | None = Field(default=None, description="PEM file of the authority of the portal's certificate")
    smis_months: Annotated[int, Field(ge=0, le=1)] = Field(
        default=0, description="Number of January in the dates of the form smis: 0 as Java writes it, or 1"
    )
    smis_visit: Literal["name", "startShift"] | None = Field(
        default=None, description="Field of the form smis that is a session's visit number; none where it is not set"
    )

    @field_validator("url", "all_url")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        try:
            parts = urlsplit(url or "https://host")
            is_port = parts.port != 0
        except ValueError:  # of a port that is none, or of half an IPv6 address
            is_port = False
        if not is_port:
            raise ValueError("the host or the port of the URL is none")
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise ValueError("a URL is expected that begins with https:// or http://, without a user or password")
        if not parts.geturl().isprintable():
            raise ValueError("the URL has a letter in it that cannot be printed")
        return url

    @model_validator(mode="after")
    def _asks_for_one(self) -> Self:
        for one, other in (("url", "command"), ("all_url", "all_command")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"give {one} or {other}, not both")
        for name, template in (("url", [self.url]), ("command", self.command)):
            words = " ".join(word for word in template or () if word is not None)
            if words and not any(placeholder in words for placeholder in _OF_ONE):
                raise ValueError(f"{name} has neither {' nor '.join(_OF_ONE)} in it, so it cannot ask for one proposal")
        for url in (self.url, self.all_url):
            unknown = set(_BRACES.findall(url or "")) - {"{code}", *_OF_ONE}
            if unknown or (url is self.all_url and _BRACES.search(url or "")):
                raise ValueError("in url only {proposal}, {code} and {number} may stand in braces, in all_url nothing")
        return self
