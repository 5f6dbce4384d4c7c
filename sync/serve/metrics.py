"""What the endpoint counts beside its runs, whose metrics are those of `sync.show.metrics`."""

from prometheus_client import Counter, Gauge

from sync.show.metrics import METRICS

REQUESTS = Counter(
    "ispyb_sync_requests", "Requests to the endpoint", ["method", "route", "status"], registry=METRICS.registry
)
AT_WORK = Gauge("ispyb_sync_requests_at_work", "Runs at work, or waiting for their turn", registry=METRICS.registry)
