"""The User Portal, asked by URL or by command: what it answers is an export."""
