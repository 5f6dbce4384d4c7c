"""The errors a user sees: what happened, where, and what to do next.

Every error that ends a command is a `SyncError`; its class carries the command's exit code.
What stops only a part of an export is not an error but a refusal (see `sync.model.refusals`).
"""


class SyncError(Exception):
    """A command cannot go on. `hint` says what to do next."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(SyncError):
    """Wrong usage, settings or an unreadable export; nothing was written."""

    exit_code = 2


class DatabaseError(SyncError):
    """The database is unreachable, locked or failing; nothing was written."""

    exit_code = 3


class Unreachable(DatabaseError):
    """No server answers, or it does not serve yet."""


class UnreadableExport(UsageError):
    """What was sent is no export, or one that is damaged; nothing was written."""


class NotWhole(UnreadableExport):
    """An export that was cut off, or damaged on its way; nothing was written."""


class NoSuchProposal(UsageError):
    """The User Portal does not know a proposal; nothing was written."""


class PortalError(SyncError):
    """The User Portal is unreachable, refuses, or breaks off; nothing was written."""

    exit_code = 3


class LimitError(SyncError):
    """A safety limit stopped the run; nothing was written."""

    exit_code = 4
