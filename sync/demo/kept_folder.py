"""What `ispyb-sync demo --keep DIR` leaves: exports, reports, settings, and the database with what starts it."""

import json
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from sync.demo.sample import Document
from sync.model.errors import UsageError
from sync.model.report import Report
from sync.model.settings import SETTINGS_FILE, load_settings
from sync.show.files import Files


@dataclass(frozen=True)
class KeptFolder:
    """A folder of its own, and the database in it."""

    folder: Path
    url: str
    staging_schema: str

    def exports(self, **documents: list[Document]) -> None:
        """Writes each list of documents as NAME.ndjson."""
        for name, export in documents.items():
            lines = [json.dumps(document, ensure_ascii=False) + "\n" for document in export]
            (self.folder / f"{name}.ndjson").write_text("".join(lines), encoding="utf-8")

    def settings(self) -> None:
        """Writes the settings with which commands in this folder use the database."""
        text = f'database = "{self.url}"\nstaging_schema = "{self.staging_schema}"\n'
        file = self.folder / SETTINGS_FILE
        file.touch(mode=0o600)
        file.write_text(text, encoding="utf-8")

    def report(self, name: str, report: Report) -> None:
        """Writes a report as NAME.html and NAME.json."""
        settings = load_settings(database=self.url, staging_schema=self.staging_schema)
        Files(None, self.folder / f"{name}.html").write_report(report, self.url, settings, f"{name} of the demo")
        text = json.dumps(report.to_dict(), indent=2, default=str)
        (self.folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    def told(self) -> str:
        """What is there now."""
        return (
            f"Kept in {self.folder}: first.ndjson and changed.ndjson; first, again, plan and changed, each as .html and"
            f" .json; {SETTINGS_FILE}; and the database.\n"
            f"{self.folder}/start starts it (port {make_url(self.url).port}; Ctrl-C ends it). Then, in that folder:"
            " ispyb-sync history"
        )


def new_folder(folder: Path) -> Path:
    """Makes the folder, for nobody else to look into. Raises UsageError where it is there and holds something."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        holds = any(folder.iterdir())
    except OSError as error:
        raise UsageError(f"--keep {folder}: {error.strerror}", hint="Give the name of a new folder.") from None
    if holds:
        raise UsageError(f"--keep {folder}: it is not empty", hint="Give the name of a new folder.")
    return folder.resolve()
