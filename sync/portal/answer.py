"""The answer of the User Portal as an open file, which the reader reads like any other."""

from collections.abc import Iterator

from sync.model.errors import UsageError
from sync.model.settings import Portal
from sync.portal import limits
from sync.portal.address import Address
from sync.portal.limits import Tell


class Answer:
    """Asks at the first read. Raises PortalError, NoSuchProposal, UsageError where the portal cannot be asked."""

    def __init__(self, address: Address, portal: Portal, tell: Tell) -> None:
        self.name = address.name
        self._chunks = _chunks(address, portal, tell)

    def read(self, size: int) -> bytes:
        """The next bytes, as many as have come; none at the end."""
        return next(self._chunks, b"")

    def close(self) -> None:
        """Ends the connection, or the command."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


def _chunks(address: Address, portal: Portal, tell: Tell) -> Iterator[bytes]:
    everything = address.proposal is None
    url, command = (portal.all_url, portal.all_command) if everything else (portal.url, portal.command)
    most = limits.MOST_BYTES_OF_ALL if everything else limits.MOST_BYTES_OF_ONE
    if url is not None:
        from sync.portal import http  # it brings httpx, which takes long to load

        return http.chunks(address, url, portal, tell, most)
    if command is not None:
        from sync.portal import command as by_command

        return by_command.chunks(address, command, portal.timeout, tell, most)
    names = ("portal.all_url", "portal.all_command") if everything else ("portal.url", "portal.command")
    raise UsageError(
        f"{address.name}: the tool is not told where the User Portal is",
        hint=f"Set {names[0]} or {names[1]} in ispyb-sync.toml, or ISPYB_SYNC_{names[0].upper().replace('.', '__')}.",
    )
