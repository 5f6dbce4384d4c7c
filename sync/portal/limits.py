"""How long an answer may take and how large it may be: what never ends, and what hardly moves, is given up."""

from collections.abc import Callable

from sync.model.errors import PortalError

Tell = Callable[[str], None]
"""Takes a few words that say what is waited for."""

MOST_BYTES_OF_ONE = 100_000_000
MOST_BYTES_OF_ALL = 10_000_000_000
"""As sent, so of a gzip answer the packed ones. An export of 20,000 proposals has some 260 MB."""
_LEAST_BYTES = 1000
"""An answer that brings less than this within the timeout hardly moves."""


class Patience:
    """Counts what one answer has brought, and how long it was waited for.

    who      the User Portal in an error
    timeout  seconds to wait for the next bytes that are worth it
    most     bytes that it may have
    """

    def __init__(self, who: str, timeout: float, most: int) -> None:
        self.who = who
        self.timeout = timeout
        self.bytes = 0
        self._most = most
        self._waited = 0.0
        self._brought = 0

    def count(self, size: int, seconds: float) -> None:
        """Takes so many bytes, for which so many seconds were waited. Raises PortalError."""
        self.bytes += size
        self._waited += seconds
        self._brought += size
        if self.bytes > self._most:
            raise PortalError(
                f"{self.who} sent more than {self._most:,} bytes and does not stop",
                hint="Nothing was written. Ask the portal for one proposal, or look at what it sends.",
            )
        if self._brought >= _LEAST_BYTES:
            self._brought, self._waited = 0, 0.0
        elif self._waited > self.timeout:
            raise self.over()

    def over(self) -> PortalError:
        """The error of an answer that does not come."""
        return PortalError(
            f"{self.who} sent {self.bytes:,} bytes and then nearly nothing for {self.timeout:g} s",
            hint="Nothing was written. Run again later, or raise the setting portal.timeout.",
        )
