"""A settings file with a password in it that everybody on this machine may read: told, and nothing else."""

import stat
import sys
import tomllib
from pathlib import Path

from sync.model.settings import SETTINGS_FILE


def warn_of_readable_password() -> None:
    """Warns where the settings file holds a password and others than its owner and group may read it."""
    file = Path(SETTINGS_FILE)
    try:
        if not file.stat().st_mode & stat.S_IROTH:
            return
    except OSError:
        return
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        password = make_url(tomllib.loads(file.read_text(encoding="utf-8"))["database"]).password
    except (OSError, ValueError, TypeError, KeyError, ArgumentError):
        return  # none that holds a URL, or one that the settings themselves complain of
    if password:
        print(
            f"warning: {SETTINGS_FILE} holds a password, and everybody on this machine can read it; chmod 600 it",
            file=sys.stderr,
        )
