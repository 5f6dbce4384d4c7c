"""An installation without what an extra brings."""

import sys

import pytest


def uninstall(monkeypatch: pytest.MonkeyPatch, room: str, package: str) -> None:
    """Until the test ends the package cannot be imported, and the room has not been yet."""
    for name in [name for name in sys.modules if name.startswith(room)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
