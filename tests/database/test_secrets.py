"""The password of the database: however it is given, and whatever goes wrong, nobody gets to see it."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url
from support.databases import Ispyb
from support.small import CommandLine, password

from sync.api import Request
from sync.demo.process import hide_passwords
from sync.model.settings import Settings, load_settings

COMMANDS = [
    *("apply good.ndjson -vv --html page.html --csv sheets", "plan partly.ndjson -vv", "plan good.ndjson --json"),
    *("apply partly.ndjson --strict --json", "plan missing.ndjson", "validate partly.ndjson -v"),
    *("check", "check --json", "history", "history --json", "history 1 -v --html past.html", "history --row person:1"),
    *("history purge --older-than 1d", "migrate", "migrate --sql", "migrate --down nonsense"),
    *("plan good.ndjson --nulls nonsense", "apply good.ndjson --nosuch", "apply good.ndjson --staging-schema nosuch"),
    *("apply good.ndjson --timezone Nowhere", "undo 1 --plan", "check --columns"),
]
REACHING = ["apply good.ndjson -vv", "plan partly.ndjson --json", "check", "history 1", "undo 1", "migrate"]
"""Enough where no command gets further than the connection."""
STATES = ["right", "wrong password", "unreachable", "no such host", "no such schema", "bad option", "bad port"]


@pytest.fixture
def command(command: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setenv("HOME", str(tmp_path))
    return command


def spoilt(url: URL, state: str) -> URL:
    """The URL of a database that cannot be reached, in one way or another."""
    match state:
        case "wrong password":
            return url.set(password=f"{url.password}x")
        case "unreachable":
            return url.set(port=1)
        case "no such host":
            return url.set(host="no.such.host.invalid")
        case "no such schema":
            return url.set(database="nosuch")
        case "bad option":
            return url.update_query_dict({"nosuch": "1"})
        case "bad port":
            return url.update_query_dict({"connect_timeout": "x"})
    return url


def give(url: URL, way: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hands the URL over in one of the ways there are; the flags to add."""
    monkeypatch.delenv("ISPYB_SYNC_DATABASE")
    text = url.render_as_string(hide_password=False)
    match way:
        case "flag":
            return ["--database", text]
        case "variable":
            monkeypatch.setenv("ISPYB_SYNC_DATABASE", text)
        case "file":
            Path("ispyb-sync.toml").write_text(f'database = "{text}"\n')
        case "option file":
            Path(".my.cnf").write_text(f"[client]\nuser={url.username}\npassword={url.password}\n")
            bare = URL.create("mysql+pymysql", host=url.host, port=url.port, database=url.database, query=url.query)
            more = bare.update_query_dict({"read_default_file": "~/.my.cnf"})
            monkeypatch.setenv("ISPYB_SYNC_DATABASE", more.render_as_string())
        case "query":
            bare = URL.create("mysql+pymysql", url.username, None, url.host, url.port, url.database, url.query)
            more = bare.update_query_dict({"password": str(url.password)})
            monkeypatch.setenv("ISPYB_SYNC_DATABASE", more.render_as_string())
    return []


WAYS = ["flag", "variable", "file", "option file", "query"]
CASES = [(way, state) for way in WAYS for state in STATES if way == "variable" or state in STATES[:2]]


@pytest.mark.parametrize(("way", "state"), CASES, ids=lambda word: str(word).replace(" ", "_"))
def test_the_password_is_in_nothing_that_comes_out(
    command: CommandLine,
    dls: Ispyb,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: str,
    state: str,
) -> None:
    secret = password(dls)
    flags = give(spoilt(make_url(dls.role_url), state), way, monkeypatch)
    caplog.set_level(logging.DEBUG)
    codes = []
    for arguments in COMMANDS if state == "right" and way in ("flag", "option file") else REACHING:
        words = arguments.split()
        done = command(*words, *(flags if words[0] != "validate" else []))
        codes.append(done.code)
        assert secret not in done.out + done.err, arguments
        assert "Traceback" not in done.err
    assert codes[0] == (0 if state == "right" else 2 if state.startswith("bad") else 3)
    assert secret not in caplog.text
    for file in Path.cwd().rglob("*.html"):
        assert secret not in file.read_text()
    with dls.engine.connect() as connection:
        for table in ("run", "change"):
            rows = connection.exec_driver_sql(f"SELECT * FROM `{dls.staging_schema}`.`{table}`").all()
            assert secret not in str([tuple(row) for row in rows])


def process(arguments: list[str], dls: Ispyb, **environment: str) -> "subprocess.Popen[bytes]":
    """The installed command, waiting for an export on standard input."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("ISPYB_SYNC_")}
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("ispyb-sync")), *arguments, "--staging-schema", dls.staging_schema],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=given | environment,
    )


def line(number: int) -> bytes:
    return Path(f"/proc/{number}/cmdline").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs the /proc of Linux")
def test_the_list_of_processes_does_not_show_it(dls: Ispyb) -> None:
    secret = password(dls).encode()
    running = process(["plan", "-", "--json", "--database", dls.role_url], dls)
    try:
        deadline = time.monotonic() + 30
        while secret in (shown := line(running.pid)) or b"plan" not in shown:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        expected = dls.role_url.replace(secret.decode(), "x" * len(secret))
        assert expected.encode() in shown.split(b"\0")
        out, err = running.communicate(b'{"proposal": {"proposalNumber": "1", "persons": [{"login": "a"}]}}', 60)
    finally:
        running.kill()
    assert running.returncode == 0, err
    assert b'"status": "planned"' in out
    assert err.startswith(b"warning: a password on the command line")
    assert secret not in out + err


def test_what_uses_the_variable_never_shows_it(dls: Ispyb) -> None:
    running = process(["plan", "-"], dls, ISPYB_SYNC_DATABASE=dls.role_url)
    assert password(dls).encode() not in line(running.pid)
    _, err = running.communicate(b"[]", 60)
    assert (running.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("argument", "secret"),
    [
        ("mysql://u:s3cret@h/ispyb", True),
        ("--database=mysql://u:s3cret@h/ispyb", True),
        ("mysql://u:s3@cret@h/ispyb", True),
        ("mysql://u@h/ispyb?password=s3cret", True),
        ("mysql://u@h/ispyb?charset=utf8mb4&passwd=s3cret", True),
        ("mysql://u@h/ispyb?ssl_key_password=s3cret", True),
        ("mysql://u@h:3306/ispyb", False),
        ("mysql://h/ispyb?read_default_file=~/.my.cnf", False),
        ("u:s3cret@h", False),
    ],
)
def test_passwords_are_found_in_arguments(argument: str, secret: bool) -> None:
    assert hide_passwords(["plan", argument]) is secret


def test_a_traceback_does_not_show_it(dls: Ispyb) -> None:
    program = "import sync; sync.apply({'proposal': {'proposalNumber': '1'}}, staging_schema='nosuch')"
    for url in (dls.role_url, dls.role_url.replace(password(dls), password(dls) + "x"), dls.role_url + "?nosuch=1"):
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-c", program],
            env=os.environ | {"ISPYB_SYNC_DATABASE": url},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" in done.stderr
        assert password(dls) not in done.stderr


def test_nothing_that_holds_it_shows_it(dls: Ispyb) -> None:
    settings = load_settings(database=dls.role_url)
    request = Request("apply", "x", settings, dls.role_url)
    for shown in (
        repr(settings),
        str(settings),
        settings.model_dump_json(),
        repr(request),
        repr(Settings.model_fields),
    ):
        assert password(dls) not in shown
