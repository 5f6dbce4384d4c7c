"""What the tool did: runs, their changes, undo, and which documents are as they were."""
