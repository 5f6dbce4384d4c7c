"""The consumer: runs for events of a message broker. It gathers, acknowledges and holds; `sync.api` does the rest."""
