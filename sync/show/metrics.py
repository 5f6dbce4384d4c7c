"""What runs did, as Prometheus metrics: for a node exporter's text file, the endpoint and the consumer alike."""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from sync.model.errors import UsageError
from sync.model.report import Report

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


class Metrics:
    """Counters of runs, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._runs = Counter("ispyb_sync_runs", "Runs", ["trigger", "mode", "status"], registry=self.registry)
        self._rows = Counter("ispyb_sync_rows", "Rows of applied runs", ["entity", "action"], registry=self.registry)
        self._refusals = Counter("ispyb_sync_refusals", "Refusals of applied runs", ["code"], registry=self.registry)
        self._seconds = Counter("ispyb_sync_run_seconds", "Seconds that runs took", ["mode"], registry=self.registry)
        self._last = Gauge(
            "ispyb_sync_last_success_timestamp_seconds", "When an apply last ended well", registry=self.registry
        )

    def note(self, report: Report) -> None:
        """Counts a run that has ended, well or not."""
        self._runs.labels(report.trigger, report.mode, report.status).inc()
        self._seconds.labels(report.mode).inc(report.seconds.get("total", 0))
        if report.status != "applied":
            return
        for entity, counts in report.entities.items():
            for action in ("inserted", "updated", "deleted", "refused"):
                self._rows.labels(entity, action).inc(getattr(counts, action))
        for refusal in report.refusals:
            self._refusals.labels(refusal.code).inc()
        self._last.set_to_current_time()


METRICS = Metrics()
"""Those of this process, for a server."""


class MetricsFile:
    """A text file of metrics that each run carries on: counters go on where the last run left them."""

    def __init__(self, path: Path) -> None:
        """Reads it; raises UsageError, before a run, for a file that is something else or cannot be written."""
        self._path = path
        self._metrics = Metrics()
        try:
            if path.exists():
                self._carry_on(path.read_text(encoding="utf-8"))
            writable = path.parent.is_dir() and os.access(path.parent, os.W_OK)
        except OSError as error:
            raise UsageError(f"--metrics {path}: {error.strerror}", hint="Give the name of a file.") from None
        except (ValueError, KeyError, IndexError):
            raise UsageError(
                f"--metrics {path}: it is there, and holds no metrics of ispyb-sync",
                hint="Give another name, or remove it; counters then begin at 0.",
            ) from None
        if not writable:
            raise UsageError(f"--metrics {path}: no file can be written there", hint="Give a folder you may write to.")

    def _carry_on(self, text: str) -> None:
        known = {
            "ispyb_sync_runs_total": self._metrics._runs,
            "ispyb_sync_rows_total": self._metrics._rows,
            "ispyb_sync_refusals_total": self._metrics._refusals,
            "ispyb_sync_run_seconds_total": self._metrics._seconds,
        }
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "ispyb_sync_last_success_timestamp_seconds":
                    self._metrics._last.set(sample.value)
                else:
                    known[sample.name].labels(**sample.labels).inc(sample.value)

    def write(self, report: Report) -> None:
        """Counts a run and writes the file, whole or not at all. Raises OSError."""
        self._metrics.note(report)
        write_to_textfile(os.fspath(self._path), self._metrics.registry)
