"""scripts/deploy: systemd takes the units, and what the timer starts runs with the rights of the role alone."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from support.databases import Ispyb
from support.small import export, holds

DEPLOY = Path(__file__).parents[2] / "scripts" / "deploy"
UNITS = sorted([*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")])


def test_systemd_takes_the_units() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    checked = subprocess.run(
        ["systemd-analyze", "verify", *map(str, UNITS)], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("file", sorted(set(DEPLOY.iterdir()) - {DEPLOY / "README.md"}), ids=lambda file: file.name)
def test_each_file_says_what_to_change(file: Path) -> None:
    assert re.search("^(# )?Change: ", file.read_text(), flags=re.MULTILINE)


def test_no_secret_stands_in_a_command(dls: Ispyb) -> None:
    for unit in UNITS:
        assert "password" not in unit.read_text()
        if "ExecStart" in unit.read_text():
            assert "LoadCredential=database:" in unit.read_text()


def fill(folder: Path, dls: Ispyb, documents: int) -> None:
    """What /etc/ispyb-sync holds, and an export of so many documents; 0 stands for one that is refused."""
    sent = export(documents) if documents else [{"proposal": {"title": "nothing names it"}}]
    (folder / "all.ndjson").write_text("\n".join(map(json.dumps, sent)))
    (folder / "database").write_text(dls.role_url + "\n")
    (folder / "ispyb-sync.toml").write_text(f'staging_schema = "{dls.staging_schema}"\n')


@pytest.mark.parametrize("documents", [2, 0])
def test_what_the_timer_starts_runs_with_the_rights_of_the_role(dls: Ispyb, tmp_path: Path, documents: int) -> None:
    command = re.search(r"^ExecStart=(.+)$", (DEPLOY / "ispyb-sync.service").read_text(), flags=re.MULTILINE)
    assert command is not None
    line = command[1].replace("/opt/ispyb-sync/bin/ispyb-sync", shlex.join([sys.executable, "-m", "sync.cli"]))
    fill(tmp_path, dls, documents)
    done = subprocess.run(
        shlex.split(line.replace("portal:all", "all.ndjson")),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(DEPLOY.parents[1]),
            "CREDENTIALS_DIRECTORY": str(tmp_path),
            "STATE_DIRECTORY": str(tmp_path),
        },
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == (0 if documents else 1)  # which is SuccessExitStatus
    assert holds(dls, documents)
    assert "ispyb_sync_runs_total" in (tmp_path / "ispyb_sync.prom").read_text()


@pytest.mark.parametrize("documents", [2, 0])
def test_what_cron_starts_prints_only_what_was_refused(dls: Ispyb, tmp_path: Path, documents: int) -> None:
    """What is printed is what cron mails."""
    cron = re.search(r"^[*]/5 [*] [*] [*] [*] ispyb-sync (.+)$", (DEPLOY / "ispyb-sync.cron").read_text(), re.MULTILINE)
    assert cron is not None
    assert "%" not in cron[1]  # which is a line's end to cron
    line = cron[1].replace("portal:all", "all.ndjson").replace("/etc/ispyb-sync", shlex.quote(str(tmp_path)))
    line = line.replace("/opt/ispyb-sync/bin/ispyb-sync", shlex.join([sys.executable, "-m", "sync.cli"]))
    fill(tmp_path, dls, documents)
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(DEPLOY.parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert holds(dls, documents)
    assert done.stderr == ""
    if documents:
        assert (done.returncode, done.stdout) == (0, "")
    else:
        assert done.returncode == 1
        assert "refused: proposal" in done.stdout


def set_up(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """What scripts/deploy/every-five-minutes writes below folder/root, started in `folder`."""
    return subprocess.run(
        [DEPLOY / "every-five-minutes", *arguments],
        env={"PATH": os.environ["PATH"], "DESTDIR": str(folder / "root")},
        cwd=folder,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_script_sets_up_what_runs_every_five_minutes(tmp_path: Path) -> None:
    (tmp_path / "ispyb-sync.toml").write_text('[portal]\nurl = "https://portal/{proposal}"\n')
    done = set_up(tmp_path, "systemd", typed="mysql+pymysql://sync:p%40w@host/ispyb\n")
    assert done.returncode == 0, done.stderr
    database = tmp_path / "root/etc/ispyb-sync/database"
    assert database.read_text() == "mysql+pymysql://sync:p%40w@host/ispyb\n"
    assert database.stat().st_mode & 0o777 == 0o600
    assert (database.parent / "ispyb-sync.toml").read_text().startswith("[portal]")
    timer = tmp_path / "root/etc/systemd/system/ispyb-sync.timer"
    assert "OnCalendar=*:0/5\n" in timer.read_text()
    assert timer.with_suffix(".service").read_text() == (DEPLOY / "ispyb-sync.service").read_text()

    again = set_up(tmp_path, "cron", "dba@site.example")  # asks for nothing that is there
    assert (again.returncode, "URL" in again.stderr) == (0, False)
    cron = (tmp_path / "root/etc/cron.d/ispyb-sync").read_text()
    assert re.search("^MAILTO=dba@site.example$", cron, re.MULTILINE)
    assert re.search("^[*]/5 [*] [*] [*] [*] ispyb-sync ", cron, re.MULTILINE)
    assert database.read_text() == "mysql+pymysql://sync:p%40w@host/ispyb\n"


@pytest.mark.parametrize(
    ("arguments", "typed", "words"),
    [
        ((), "", "say what starts the runs"),
        (("cron",), "", "nobody gets the mail"),
        (("systemd",), "", "no URL of ISPyB was given"),
        (("systemd",), "mysql://host/ispyb\n", "there is no ispyb-sync.toml here"),
    ],
)
def test_the_script_says_what_it_lacks(tmp_path: Path, arguments: tuple[str, ...], typed: str, words: str) -> None:
    done = set_up(tmp_path, *arguments, typed=typed)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {words}" in done.stderr
    assert not (tmp_path / "root/etc/systemd").exists()


def test_the_compose_file_mounts_what_it_names() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        assert set(service.get("secrets", [])) <= set(compose["secrets"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
        for path in service.get("environment", {}).values():
            name = path.removeprefix("/run/secrets/")
            assert name == path or name in service["secrets"]
