"""The server: connections, locks, rights, retries, the tool's own schema, and where the SQL files are."""
