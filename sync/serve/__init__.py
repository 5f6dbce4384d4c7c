"""The endpoint: a run for whoever has a token for it, and the page. It decides nothing about rows; `sync.api` does."""
