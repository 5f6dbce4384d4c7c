"""An export by URL: one GET, its answer as it comes.

What may pass by itself (nobody answers, 429, 5xx) is asked again a few times, as long as no byte of an answer was
taken. The token goes to the host of the setting and to no other. gzip is left as it is: the reader unpacks it.
"""

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from sync.model.errors import NoSuchProposal, PortalError, UsageError
from sync.model.refusals import printable
from sync.model.settings import Portal
from sync.model.text import tool_version
from sync.portal.address import Address
from sync.portal.deadline import Deadline
from sync.portal.limits import Patience, Tell

ATTEMPTS = 4
PAUSE_SECONDS = 1.0
"""Before the second attempt; each further pause is twice as long. A Retry-After that asks for more is kept."""
LONGEST_PAUSE_SECONDS = 120.0
_MOST_REDIRECTS = 5
_TRY_AGAIN = frozenset([429, *range(500, 600)])
_NOTHING = "Nothing was written."


class _Passing(Exception):
    """What may be over when it is tried again."""

    def __init__(self, words: str, pause: float | None = None) -> None:
        super().__init__(words)
        self.words = words
        self.pause = pause


def chunks(address: Address, url: str, portal: Portal, tell: Tell, most: int) -> Iterator[bytes]:
    """The bytes of the answer. Raises PortalError, NoSuchProposal, UsageError for settings that cannot be used."""
    asked = _url(address.in_url(url))
    patience = Patience(f"the User Portal at {_shown(asked)}", portal.timeout, most)
    each_its_own = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(
        verify=_trusted(portal.ca),
        timeout=httpx.Timeout(portal.timeout),
        headers=_headers(portal.token_file),
        limits=each_its_own,  # so that a deadline meets the connection of its own request
    ) as client:
        response = _answer(client, asked, address, patience, tell)
        try:
            tell(f"reading from {asked.host}")
            yield from _body(response, patience)
        finally:
            response.close()


def _answer(client: httpx.Client, url: httpx.URL, address: Address, patience: Patience, tell: Tell) -> httpx.Response:
    """The first good answer; its body is still to be read."""
    for attempt in range(1, ATTEMPTS + 1):
        again = "" if attempt == 1 else f", attempt {attempt} of {ATTEMPTS}"
        tell(f"waiting for {url.host}{again}")
        try:
            return _checked(_followed(client, url, patience), address, patience)
        except _Passing as passing:
            pause = max(passing.pause or 0.0, PAUSE_SECONDS * 2 ** (attempt - 1))
            if pause > LONGEST_PAUSE_SECONDS:
                raise PortalError(
                    f"{patience.who} {passing.words}, and asks to wait for {pause:,.0f} s",
                    hint=f"{_NOTHING} Run again after that time.",
                ) from None
            if attempt == ATTEMPTS:
                raise PortalError(
                    f"{patience.who} {passing.words} ({ATTEMPTS} attempts)",
                    hint=f"{_NOTHING} Run again later, or look at the portal and at the settings of [portal].",
                ) from None
            tell(f"{url.host} {passing.words}: waiting {pause:,.0f} s before the next attempt")
            time.sleep(pause)
    raise AssertionError  # the last attempt returns or raises


def _followed(client: httpx.Client, url: httpx.URL, patience: Patience) -> httpx.Response:
    """The answer at the end of the redirects. httpx drops the token where the next host is another one."""
    request = client.build_request("GET", url)
    for _ in range(_MOST_REDIRECTS + 1):
        deadline = Deadline(patience.timeout)
        request.extensions["trace"] = deadline.trace
        try:
            with deadline:
                response = client.send(request, stream=True)
        except httpx.TransportError as error:
            if deadline.is_over or isinstance(error, httpx.TimeoutException):
                raise _Passing(f"did not answer within {patience.timeout:g} s") from None
            words = printable(str(error))
            if "CERTIFICATE" in words.upper():
                raise PortalError(
                    f"{patience.who} has a certificate that is not trusted: {words}",
                    hint=f"{_NOTHING} Give the file of its authority in the setting portal.ca, or correct its name.",
                ) from None
            raise _Passing(f"cannot be reached: {words}") from None
        if response.next_request is None:
            return response
        response.close()
        before, request = request, response.next_request
        if before.url.scheme == "https" and request.url.scheme != "https":
            raise PortalError(
                f"{patience.who} redirects to {_shown(request.url)}, which is not encrypted",
                hint=f"{_NOTHING} Correct portal.url.",
            )
    raise PortalError(f"{patience.who} redirects without an end", hint=f"{_NOTHING} Correct portal.url.")


def _url(text: str) -> httpx.URL:
    """The URL that is asked. Raises UsageError."""
    try:
        url = httpx.URL(text)
        url.raw_host.decode().encode("idna")  # as the socket does it
        return url
    except (httpx.InvalidURL, UnicodeError) as error:
        raise UsageError(
            f"the User Portal cannot be asked at such a URL: {printable(str(error))}", hint="Correct portal.url."
        ) from None


def _checked(response: httpx.Response, address: Address, patience: Patience) -> httpx.Response:
    """The answer, if it is a good one."""
    status = response.status_code
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if status == 200 and encoding in ("identity", "gzip", "x-gzip"):
        return response
    response.close()
    words = f"answered {status} {response.reason_phrase}".strip()
    if status in _TRY_AGAIN:
        raise _Passing(words, _retry_after(response))
    if status == 200:
        raise PortalError(
            f"{patience.who} packs its answer as {printable(encoding)}, which was not asked for",
            hint=f"{_NOTHING} Let it send plain JSON or gzip.",
        )
    if status == 404 and address.proposal is not None:
        raise NoSuchProposal(
            f"{address.name}: no such proposal; {patience.who} {words}",
            hint=f"{_NOTHING} Check the name, and portal.url.",
        )
    if status in (401, 403):
        raise PortalError(
            f"{patience.who} {words}: the token is refused, or there is none",
            hint=f"{_NOTHING} Put a valid token into the file that portal.token_file names.",
        )
    raise PortalError(f"{patience.who} {words}", hint=f"{_NOTHING} Check portal.url and portal.all_url.")


def _body(response: httpx.Response, patience: Patience) -> Iterator[bytes]:
    """The body as it was sent, part by part."""
    parts = response.iter_raw()
    while True:
        start = time.monotonic()
        try:
            part = next(parts, None)
        except httpx.TimeoutException:
            raise patience.over() from None
        except httpx.TransportError as error:
            raise PortalError(
                f"{patience.who} broke off after {patience.bytes:,} bytes: {printable(str(error))}",
                hint=f"{_NOTHING} Run again.",
            ) from None
        if part is None:
            return
        patience.count(len(part), time.monotonic() - start)
        if part:
            yield part


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds that the header asks to wait: a number, or a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _headers(token_file: Path | None) -> dict[str, str]:
    headers = {
        "Accept": "application/json, application/x-ndjson, */*;q=0.5",
        "Accept-Encoding": "gzip",
        "User-Agent": f"ispyb-sync/{tool_version()}",
    }
    if token_file is not None:
        headers["Authorization"] = f"Bearer {_token(token_file)}"
    return headers


def _token(path: Path) -> str:
    """The token in a file. Raises UsageError, without anything of the token."""
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not ASCII text"
        raise UsageError(
            f"portal.token_file {printable(str(path))}: {reason}", hint="Name a file that holds the token."
        ) from None
    if not token or not token.isprintable() or " " in token:
        raise UsageError(
            f"portal.token_file {printable(str(path))}: no token in it, or more than one word",
            hint="The file holds the token alone, without Bearer.",
        )
    return token


def _trusted(ca: Path | None) -> ssl.SSLContext:
    """The authorities to trust: those in this file, or else the machine's own."""
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = "no certificate in it" if isinstance(error, ssl.SSLError) else getattr(error, "strerror", error)
        raise UsageError(f"portal.ca {printable(str(ca))}: {reason}", hint="Name a PEM file of certificates.") from None


def _shown(url: httpx.URL) -> str:
    """The URL without a query, which may hold a secret."""
    return printable(str(url.copy_with(query=None, fragment=None, userinfo=b"")))
