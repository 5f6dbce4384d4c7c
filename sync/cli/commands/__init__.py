"""The commands, one module a kind."""
