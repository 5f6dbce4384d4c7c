"""What a user gets to see when something is wrong: what, where, what to do next; no traceback, no password."""

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest
from sqlalchemy import make_url
from support.databases import Ispyb
from support.small import CommandLine, Done, export, holds, password, run, trigger, write


def assert_explained(done: Done, code: int, *words: str) -> None:
    """One error and nothing else: what and where, and on the next line what to do."""
    assert done.code == code, done
    assert done.out == ""
    what, remedy = done.err.splitlines()
    assert what.startswith("error: ")
    assert remedy.startswith("  ")
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('timezone = "Mars/Olympus"', "timezone"),
        ('timezne = "UTC"', "timezne"),
        ("strict = 'perhaps'", "strict"),
        ("max_document_mb = 0", "max_document_mb"),
        ("database = 's3cret", "ispyb-sync.toml"),
        ("database = ['s3cret']", "database"),
    ],
)
def test_a_wrong_settings_file(command: CommandLine, monkeypatch: pytest.MonkeyPatch, text: str, word: str) -> None:
    monkeypatch.delenv("ISPYB_SYNC_DATABASE")
    Path("ispyb-sync.toml").write_text(text + "\n")
    done = command("apply", "good.ndjson")
    assert_explained(done, 2, word)
    assert "s3cret" not in done.err


def test_all_wrong_settings_are_named_at_once(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISPYB_SYNC_STRICT", "s3cret")
    done = command("apply", "good.ndjson", "--timezone", "Mars/Olympus", "--lock-timeout", "-1")
    assert_explained(done, 2, "strict", "timezone", "lock_timeout")
    assert "s3cret" not in done.err


@pytest.mark.parametrize("flags", [["--prune-limit", "x"], ["--staging-schema", "a-b"], ["--timezone", "Mars"]])
def test_a_wrong_setting_is_explained_in_words(command: CommandLine, flags: list[str]) -> None:
    done = command("plan", "good.ndjson", *flags)
    assert_explained(done, 2, flags[0].strip("-").replace("-", "_"))
    assert "Value error" not in done.err
    assert "^" not in done.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["history", "--person", "a", "--row", "person:1"], "--row"),
        (["history", "1", "--limit", "3"], "--limit"),
        (["history", "--older-than", "3d"], "purge"),
        (["history", "purge"], "--older-than"),
        (["migrate", "--force"], "--down"),
        (["check", "--csv", "folder"], "--columns"),
        (["apply", "good.ndjson", "--quiet", "--json"], "--json"),
    ],
)
def test_a_flag_that_would_be_passed_over_is_refused(command: CommandLine, arguments: list[str], word: str) -> None:
    assert_explained(command(*arguments), 2, word)


def test_a_flag_in_front_of_the_command_is_told_where_it_goes(command: CommandLine) -> None:
    done = command("--database", "mysql+pymysql://sync@nowhere/ispyb", "plan", "good.ndjson")
    assert_explained(done, 2, "--database stands in front of the command", "ispyb-sync plan --database …")
    assert "nowhere" not in done.err
    assert "No such option" in command("--nonsense", "plan").err


def test_a_password_that_everybody_can_read_is_warned_of(
    command: CommandLine, dls: Ispyb, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path("ispyb-sync.toml")
    file.write_text(f'database = "{dls.role_url}"\n')
    monkeypatch.delenv("ISPYB_SYNC_DATABASE")
    for mode, warned in ((0o644, True), (0o640, False), (0o600, False)):
        file.chmod(mode)
        done = command("history")
        assert done.code == 0
        assert ("holds a password" in done.err) == warned
        assert password(dls) not in done.err
    file.write_text('timezone = "UTC"\n')
    file.chmod(0o644)
    monkeypatch.setenv("ISPYB_SYNC_DATABASE", dls.role_url)
    assert command("history").err == ""


def test_the_help_has_every_exit_code_of_the_readme(command: CommandLine) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    told = " ".join(command("--help").out.split()).partition("Exit codes: ")[2]
    assert re.findall(r"(?:^|; )(\d+) ", told) == re.findall(r"^\| (\d+) \|", readme, re.MULTILINE)
    assert "part of an undo was left" in told


def test_a_shell_completes_commands_and_flags(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def completed(words: str) -> list[str]:
        monkeypatch.setenv("_ISPYB_SYNC_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" ")) - 1))
        return command().out.split()

    assert completed("ispyb-sync hist") == ["history"]
    assert "--staging-schema" in completed("ispyb-sync plan --stag")


def test_an_account_that_may_not_alter_is_told_who_may(command: CommandLine) -> None:
    assert_explained(command("migrate"), 3, "denied", "an account that may ALTER", "migrate --sql")


def test_a_variable_that_is_misspelt_is_told(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISPYB_SYNC_TEST_SERVER", "mysql://127.0.0.1/")  # of the demo and the tests
    assert command("validate", "good.ndjson").code == 0
    monkeypatch.setenv("ISPYB_SYNC_STRCT", "s3cret")
    done = command("plan", "good.ndjson", "--timezone", "Mars")
    assert_explained(done, 2, "ISPYB_SYNC_STRCT: no such setting", "timezone")
    assert "s3cret" not in done.err


def test_no_database_is_set(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ISPYB_SYNC_DATABASE")
    assert_explained(command("apply", "good.ndjson"), 2, "--database URL", "ISPYB_SYNC_DATABASE", "ispyb-sync.toml")


@pytest.mark.parametrize(
    ("url", "code", "word"),
    [
        ("s3cret", 2, "not a SQLAlchemy URL"),
        ("mysql://u@h:s3cret/ispyb", 2, "not a SQLAlchemy URL"),
        ("postgresql://u:s3cret@h/ispyb", 2, "postgresql"),
        ("mysql://u:s3cret@{server}/", 3, "Correct the account or the password"),
        ("mysql://u:s3cret@{server}/ispyb", 3, "Correct the account or the password"),
        ("mysql://ü:s3cret€@{server}/ispyb", 3, "Correct the account or the password"),
        ("mysql://u:s3cret@{server}/ispyb?ssl=true", 2, "behind the question mark"),
        ("mysql://u:s3cret@{server}/ispyb?read_timeout=0", 2, "read_timeout"),
        ("mysql://u:s3cret@{server}/ispyb?nosuch=1", 2, "nosuch"),
        ("mysql://u:s3cret@{server}/ispyb?plugin=nosuch", 2, "nosuch"),
        ("mysql://u:s3cret@{server}/ispyb?ssl_ca=/no/such.pem", 2, "/no/such.pem"),
        ("mysql://{account}@{server}/nosuch", 3, "`ispyb-sync grants`"),
        ("mysql://{account}@{server}/", 2, "names no schema"),
        ("mysql://u:s3cret@127.0.0.1:1/ispyb", 3, "ispyb on 127.0.0.1:1: Can't connect"),
        ("mysql://u:s3cret@127.0.0.1:1/ispyb", 3, "or start the server"),
        ("mysql://u:s3cret@no.such.host.invalid/ispyb", 3, "no.such.host.invalid"),
        ("mysql://u:s3cret@" + "a" * 70 + ".example/ispyb", 2, "host name"),
    ],
)
def test_a_database_that_cannot_be_used(command: CommandLine, dls: Ispyb, url: str, code: int, word: str) -> None:
    known = make_url(dls.role_url)
    account = f"{known.username}:{known.password}"
    os.environ["ISPYB_SYNC_DATABASE"] = url.format(server=f"{known.host}:{known.port}", account=account)
    for arguments in (["apply", "good.ndjson"], ["check"], ["migrate"], ["history"]):
        done = command(*arguments)
        assert_explained(done, code, word)
        assert "s3cret" not in done.err
        assert password(dls) not in done.err


def test_a_database_that_is_not_migrated(command: CommandLine, dls: Ispyb) -> None:
    for arguments in (["apply", "good.ndjson"], ["history"], ["history", "1"], ["undo", "1"]):
        done = command(*arguments, "--staging-schema", "not_there", "--database", dls.url)
        assert_explained(done, 3, f"{dls.called} is not migrated", "ispyb-sync migrate --sql")
    done = command("apply", "good.ndjson", "--staging-schema", "not_there")
    assert_explained(done, 3, "not_there", "ispyb-sync migrate", "`ispyb-sync grants`")


def test_a_failing_statement_is_named(command: CommandLine, dls: Ispyb) -> None:
    with trigger(
        dls,
        "BEFORE INSERT ON Protein",
        "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1030, MESSAGE_TEXT = 'no proteins today'",
    ):
        done = command("apply", "good.ndjson")
    assert_explained(done, 3, "protein.sql:", " insert: no proteins today", "ISPyB is unchanged")


def test_an_export_is_named_with_its_place(command: CommandLine) -> None:
    Path("empty.json").write_text(" ")
    Path("folder").mkdir()
    for name in ("empty.json", "folder", "not there"):
        for verb in ("validate", "plan", "apply"):
            assert_explained(command(verb, name), 2, name)
    write("broken.ndjson", export(2))
    with Path("broken.ndjson").open("a") as file:
        file.write('\n{"proposal": ')
    done = command("apply", "broken.ndjson", "--json")
    assert done.code == 1
    (refusal,) = json.loads(done.out)["refusals"]
    assert (refusal["code"], refusal["document"]) == ("invalid_json", 3)
    assert "line 3" in refusal["message"]


def test_an_answer_of_the_portal_that_is_no_export_writes_nothing(command: CommandLine, dls: Ispyb) -> None:
    Path("page.html").write_text("<!DOCTYPE html>\n<html><body>Log in</body></html>\n")
    Path("error.json").write_text('{"error": "no such proposal"}')
    for name, words in (("page.html", "begins with <!DOCTYPE html>"), ("error.json", 'with {"error": "no such')):
        for verb in ("validate", "plan", "apply"):
            assert_explained(command(verb, name), 2, name, words)
        done = command("apply", name, "--json")
        assert (done.code, json.loads(done.out)["status"]) == (2, "failed")
    assert dls.rows("Proposal") == []
    assert json.loads(command("history", "--json").out) == []


class Surprise(io.RawIOBase):
    """Standard input that fails as nothing that is read fails."""

    def read(self, _size: int = -1) -> bytes:
        raise RuntimeError("s3cret \x1b[31m")


@pytest.mark.parametrize("verb", ["validate", "plan", "apply"])
def test_what_nobody_expected_names_its_place_and_what_was_written(
    command: CommandLine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    """While an export is read no commit has begun."""
    monkeypatch.setattr(sys, "stdin", Surprise())
    done = command(verb, "-")
    assert_explained(done, 3, "Nothing was written. `ispyb-sync -v", "; please report it")
    assert re.search(r"error: unexpected RuntimeError in sync/read/source\.py:\d+;", done.err)
    assert "s3cret" not in done.err  # it may be of an export
    (logged,) = caplog.records
    assert (logged.levelname, logged.exc_info and str(logged.exc_info[1])) == ("ERROR", "s3cret \x1b[31m")
    for arguments in ((verb, "-", "-v"), ("-v", verb, "-")):
        shown = command(*arguments)
        assert (shown.code, shown.out) == (3, "")
        assert "Traceback (most recent call last)" in shown.err
        assert "RuntimeError: s3cret \\x1b[31m" in shown.err
        assert shown.err.endswith(done.err)
    done = command(verb, "-", "--json")
    assert (done.code, json.loads(done.out)["status"]) == (3, "failed")


def test_a_record_that_somebody_damaged_is_no_traceback(command: CommandLine, dls: Ispyb) -> None:
    assert command("apply", "good.ndjson").code == 0
    run(dls, f"UPDATE {dls.staging_schema}.run SET report = '{{'")
    assert_explained(
        command("history", "1"), 3, "unexpected JSONDecodeError in sync/history/runs.py:", "Nothing was written"
    )
    write("new.ndjson", export(3))
    done = command("apply", "new.ndjson", "--html", "report.html")
    assert done.code == 3
    assert "What the command did stays done; `ispyb-sync history` lists it" in done.err
    assert holds(dls, 3)
