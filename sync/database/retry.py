"""How often and how long a run tries again, where a server or another writer comes in between."""

ATTEMPTS = 5
PAUSE_SECONDS = 0.2
"""Before the second attempt; later pauses are longer."""
