"""`python -m sync.cli`."""

from sync.cli.main import main

main()
