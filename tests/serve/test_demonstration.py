"""`demo --serve`: what it prints works, and Ctrl-C leaves nothing."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from sqlalchemy import URL, create_engine
from support.endpoint import wait_for
from support.small import hear_interrupts

from sync.demo.server import RUNNING


def test_the_demo_serves_and_ends_with_an_interrupt(server_url: URL, tmp_path: Path) -> None:
    out, root = tmp_path / "out", str(Path(__file__).parents[2])
    env = os.environ | {RUNNING: server_url.render_as_string(hide_password=False), "PYTHONPATH": root}
    with open(out, "wb") as file:
        demo = subprocess.Popen(
            [sys.executable, "-m", "sync.cli", "demo", "--serve"],
            cwd=tmp_path,
            env=env,
            stdout=file,
            stderr=subprocess.DEVNULL,
            preexec_fn=hear_interrupts,
        )
    try:
        wait_for(lambda: "Ctrl-C" in out.read_text() or demo.poll() is not None)
        page = re.search(r"The page: +(\S+)", out.read_text())
        curl = re.search(r"One sync: +curl -X POST (\S+)", out.read_text())
        assert page is not None
        assert curl is not None
        assert httpx.get(page[1]).status_code == 200
        done = httpx.post(shlex.split(curl[1])[0], timeout=60)
        assert done.status_code == 200
        assert done.json()["entities"]["proposal"]["inserted"] + done.json()["entities"]["proposal"]["updated"] == 1
        everything = httpx.post(shlex.split(curl[1])[0].rpartition("/proposals/")[0] + "/exports", timeout=60).text
        assert json.loads(everything.rpartition("data: ")[2])["documents"]["read"] == 50
        assert "and 45 more" in out.read_text()
        unknown = httpx.post(shlex.split(curl[1])[0].rpartition("/MX-")[0] + "/MX-404404/sync", timeout=60)
        assert unknown.status_code == 404
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    finally:
        demo.kill()
        demo.wait()
    with create_engine(server_url).connect() as connection:
        assert not connection.exec_driver_sql("SHOW DATABASES LIKE 'ispyb_demo%%'").all()
