"""One proposal at a time through HTTP: by one client, by several at once, and the same through the Python API."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import httpx
from generate_export import Facility
from support.databases import Ispyb
from support.endpoint import SYNC, serving

import sync
from benchmark.figures import Figure, Json

CLIENTS = 8


def http(ispyb: Ispyb, proposals: int, samples: int) -> Iterator[Figure]:
    """New proposals in a database of so many: one after the other, then several at once."""
    facility, first = Facility(proposals), proposals + 2_000_000
    one, many, by_api = (
        [facility.document(first + start * samples + number) for number in range(samples)] for start in range(3)
    )
    with (
        tempfile.TemporaryDirectory(prefix="ispyb-sync-bench-") as folder,
        serving(ispyb, Path(folder) / "serve") as endpoint,
    ):
        milliseconds = [1000 * _seconds(endpoint.client, document) for document in one]
        with ThreadPoolExecutor(CLIENTS) as pool:
            start = time.perf_counter()
            list(pool.map(lambda document: _seconds(endpoint.client, document), many))
            rate = samples / (time.perf_counter() - start)
    start = time.perf_counter()
    for document in by_api:
        sync.apply(document, database=ispyb.role_url, staging_schema=ispyb.staging_schema)
    api_rate = samples / (time.perf_counter() - start)
    yield Figure("http_p50", "one new proposal by HTTP, half of them", "ms", [median(milliseconds)])
    yield Figure(
        "http_p99", "one new proposal by HTTP, 99 in 100", "ms", [sorted(milliseconds)[-(-99 * samples // 100) - 1]]
    )
    yield Figure(
        "http_rate",
        f"new proposals a second by HTTP, {CLIENTS} clients",
        "1/s",
        [rate],
        None,
        rate / api_rate,
        "sync.apply, one after the other, with a URL",
    )


def _seconds(client: httpx.Client, document: Json) -> float:
    start = time.perf_counter()
    answer = client.post(SYNC, json=document)
    seconds = time.perf_counter() - start
    if answer.status_code != 200:
        raise RuntimeError(f"HTTP {answer.status_code}: {answer.text[:500]}")
    return seconds
