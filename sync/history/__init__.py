"""What the tool did: runs, their changes, undo, and keys moved over to externalId."""
