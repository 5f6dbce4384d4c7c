"""The files that a report is also written to: --csv DIR and --html FILE."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sync.database.connection import Database
from sync.history import runs
from sync.history.changes import ALL_CHANGES
from sync.history.runs import Run
from sync.model.errors import UsageError
from sync.model.report import Report
from sync.model.settings import Settings
from sync.model.text import tool_version
from sync.show.sheets import write_sheets


@dataclass(frozen=True)
class Files:
    """Where to write, as the flags say; None is nowhere."""

    csv: Path | None = None
    html: Path | None = None

    def __bool__(self) -> bool:
        return self.csv is not None or self.html is not None

    def prepare(self) -> None:
        """Makes the folder, and looks before a run whether its report can be written. Raises UsageError if not."""
        if self.csv is not None:
            make_folder(self.csv, "--csv")
        if self.html is not None:
            folder = self.html.parent
            if self.html.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
                raise UsageError(
                    f"--html {self.html}: no file can be written there",
                    hint="Give the name of a file in a folder that exists and that you may write to.",
                )

    def write(self, run: Run, past: Sequence[Run]) -> None:
        """Writes them; those of the same names are replaced. Raises OSError."""
        if self.csv is not None:
            write_sheets(run.report, self.csv)
        if self.html is not None:
            from sync.show.page import page  # it brings Jinja, which takes long to load

            self.html.write_text(page(run, past), encoding="utf-8", errors="backslashreplace")

    def write_report(self, report: Report, database: Database, settings: Settings, export: str | None) -> None:
        """Writes the report of a run that has just ended; what an apply changed is read from history.

        Raises OSError, or DatabaseError where history cannot be read.
        """
        from sync.show.page import MOST_ROWS

        past = runs.runs(database, settings)
        if report.run is None:
            run = Run(datetime.now(UTC), "", tool_version(), export, report)
        else:
            limit = MOST_ROWS if self.csv is None else ALL_CHANGES  # an initial load has millions
            kept = runs.show(database, settings, report.run, limit=limit)
            run = replace(kept, report=replace(report, changes=kept.report.changes))
            if settings.mask:
                run.report.mask()
        self.write(run, past)


NO_FILES = Files()


def make_folder(folder: Path, flag: str) -> None:
    """Makes a folder for CSV files. Raises UsageError where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{flag} {folder}: {error.strerror}", hint="Give the name of a folder.") from None
    if not os.access(folder, os.W_OK):
        raise UsageError(f"{flag} {folder}: no file can be written there", hint="Give another folder.")
