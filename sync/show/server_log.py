"""The log of commands that run for long, on standard error: with times, and nothing of the libraries below warnings."""

import logging
import sys


def log_to_standard_error(log: logging.Logger, *libraries: str) -> None:
    """Lets a log tell what it does, and these libraries what they warn of."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    for logger in (log, *map(logging.getLogger, libraries)):
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if logger is log else logging.WARNING)
