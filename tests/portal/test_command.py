"""An export by command: real programs that print, fail, hang and print half a document."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from support.databases import Ispyb
from support.small import CommandLine, Done, document, export, holds, write
from support.terminal import AtTerminal

from sync.portal import limits


def settings(one: list[str] | None = None, everything: list[str] | None = None, **more: object) -> None:
    given = {"command": one, "all_command": everything} | more
    lines = [f"{name} = {json.dumps(value)}" for name, value in given.items() if value is not None]
    Path("ispyb-sync.toml").write_text("\n".join(["[portal]", *lines]))


def program(text: str) -> list[str]:
    """A program that gets the proposal as its argument."""
    return [sys.executable, "-c", f"import sys, time, os\n{text}", "{proposal}"]


def assert_explained(done: Done, code: int, *words: str) -> None:
    assert done.code == code, done
    assert done.err.startswith("error: ")
    assert "Nothing was written" in done.err or code == 2
    for word in words:
        assert word in done.err, done.err


def test_what_it_prints_is_the_export(command: CommandLine, dls: Ispyb) -> None:
    write("MX-1.json", [document(1)])
    settings(["cat", "{code}-{number}.json"], ["cat", "good.ndjson"])
    assert json.loads(command("validate", "portal:MX-1", "--json").out)["documents"]["read"] == 1
    assert json.loads(command("plan", "portal:all", "--json").out)["entities"]["proposal"]["inserted"] == 2
    assert command("apply", "portal:all", "--yes").code == 0
    assert holds(dls, 2)


def test_no_shell_reads_the_name(command: CommandLine) -> None:
    write("documents", [document(1)])
    settings(program("print(open('documents').read()); print(sys.argv[1:], file=sys.stderr); sys.exit(1)"))
    done = command("validate", "portal:$(touch made);MX-1")
    assert_explained(done, 3, "['$(touch made);MX-1']")
    assert not Path("made").exists()


@pytest.mark.parametrize("name", ["--help", "-x-1"])
def test_a_name_that_looks_like_an_option(command: CommandLine, name: str) -> None:
    settings(["cat", "{proposal}"])
    assert_explained(command("validate", f"portal:{name}"), 2, "as an option")


def test_one_that_fails_writes_nothing_and_says_why(command: CommandLine, dls: Ispyb) -> None:
    lines = json.dumps(json.dumps(document(1)))
    said = "[print(f'line {n}', file=sys.stderr) for n in range(20)]"
    settings(everything=program(f"print({lines}, flush=True); {said}; sys.exit(7)"))
    done = command("apply", "portal:all", "--yes")
    assert_explained(done, 3, "exit code 7", "line 19", "line 15")
    assert "line 14" not in done.err
    assert holds(dls, 0)


def test_one_that_is_killed(command: CommandLine) -> None:
    settings(program("os.kill(os.getpid(), 9)"))
    assert_explained(command("validate", "portal:MX-1"), 3, "signal 9")


def test_one_that_hangs_is_ended_with_all_that_it_started(command: CommandLine) -> None:
    text = "open('pids', 'a').write(f'{os.getpid()} '); print('thinking', file=sys.stderr); time.sleep(60)"
    settings(program(f"os.fork(); os.fork(); {text}"), timeout=1.5)
    start = time.monotonic()
    assert_explained(command("validate", "portal:MX-1"), 3, "nearly nothing for 1.5 s", "thinking")
    assert time.monotonic() - start < 10
    pids = Path("pids").read_text().split()
    assert len(pids) == 4
    for pid in pids:
        assert gone(int(pid)), pid


def gone(pid: int) -> bool:
    """Whether a process has ended, or will have very soon."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        if state == "Z":  # ended; whoever inherited it has not looked yet
            return True
        time.sleep(0.05)
    return False


def test_one_that_prints_without_an_end(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_BYTES_OF_ONE", 200_000)
    lines = json.dumps(json.dumps(document(1)))
    settings(program(f"while True: print({lines}, flush=True)"))
    assert_explained(command("validate", "portal:MX-1"), 3, "more than 200,000 bytes", "does not stop")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_one_that_prints_hardly_anything(command: CommandLine, stream: str) -> None:
    """Each letter comes well within the timeout; words on standard error are no export."""
    settings(program(f"while True: print(end='[', file=sys.{stream}, flush=True); time.sleep(0.05)"), timeout=0.4)
    start = time.monotonic()
    assert_explained(command("validate", "portal:MX-1"), 3, "nearly nothing for 0.4 s")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("host", ["{code}..example.org", "é..{code}.org"])
def test_a_host_that_is_none(command: CommandLine, host: str) -> None:
    Path("ispyb-sync.toml").write_text(f'[portal]\nurl = "https://{host}/{{number}}"\n')
    assert_explained(command("validate", "portal:MX-1"), 2, "cannot be asked at such a URL", "Correct portal.url")


def test_one_that_has_printed_all_and_does_not_end(command: CommandLine) -> None:
    lines = json.dumps(json.dumps(document(1)))
    settings(program(f"print({lines}, flush=True); os.close(1); os.close(2); time.sleep(60)"), timeout=0.3)
    assert_explained(command("validate", "portal:MX-1"), 3, "nearly nothing for 0.3 s")


def test_rubbish(command: CommandLine) -> None:
    settings(program("print('connected to portal')"))
    assert_explained(command("validate", "portal:MX-1"), 2, "no document in it", "connected to portal")


def test_nothing(command: CommandLine) -> None:
    settings(["true", "{proposal}"])
    assert_explained(command("validate", "portal:MX-1"), 2, "portal:MX-1 is empty")


def test_half_a_document_writes_nothing(command: CommandLine, dls: Ispyb) -> None:
    Path("half").write_text("\n".join(map(json.dumps, export(2)))[:-50])
    settings(everything=["cat", "half"])
    assert_explained(command("apply", "portal:all", "--yes"), 3, "ends in the middle of a document")
    assert holds(dls, 0)


def test_rubbish_after_documents_writes_nothing(command: CommandLine, dls: Ispyb) -> None:
    settings(everything=["sh", "-c", "cat good.ndjson; echo; echo done"])
    assert_explained(command("apply", "portal:all", "--yes"), 3, "ends in the middle of a document")
    assert holds(dls, 0)


def test_it_is_not_there(command: CommandLine) -> None:
    settings(["no-such-program", "{proposal}"])
    assert_explained(command("validate", "portal:MX-1"), 2, "no-such-program", "No such file", "portal.command")


def test_a_terminal_shows_what_it_waits_for(command: CommandLine) -> None:
    settings(everything=["sh", "-c", "sleep 0.5; cat good.ndjson"])
    with AtTerminal("validate", "portal:all") as terminal:
        code, _ = terminal.ended()
        assert code == 0
        assert "waiting for sh" in terminal.seen


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('url = "https://h/{proposal}"\ncommand = ["x", "{proposal}"]', "give url or command, not both"),
        ('all_url = "https://h/"\nall_command = ["x"]', "give all_url or all_command, not both"),
        ('url = "https://h/all"', "url has neither {proposal} nor {number}"),
        ('command = ["x"]', "command has neither"),
        ("command = []", "portal.command"),
        ('url = "https://h/{proposal}/{session}"', "only {proposal}, {code} and {number}"),
        ('all_url = "https://h/{proposal}"', "in all_url nothing"),
        ('url = "ftp://h/{proposal}"', "portal.url: a URL is expected"),
        ('url = "https://h:x/{proposal}"', "portal.url: the host or the port of the URL is none"),
        ('url = "https://h:70000/{proposal}"', "portal.url: the host or the port"),
        ('all_url = "https://[::1/"', "portal.all_url: the host or the port"),
        ('url = "https://h/\\u0007/{proposal}"', "portal.url: the URL has a letter in it"),
        ('url = "https://me:s3cret@h/{proposal}"', "without a user or password"),
        ("timeout = 0", "portal.timeout"),
        ("smis_months = 2", "portal.smis_months"),
        ('tokenfile = "x"', "portal.tokenfile: no such setting"),
        ('token = "s3cret"', "portal.token: no such setting"),
    ],
)
def test_settings_that_cannot_be(command: CommandLine, text: str, words: str) -> None:
    Path("ispyb-sync.toml").write_text(f"[portal]\n{text}\n")
    done = command("validate", "portal:MX-1")
    assert_explained(done, 2, words)
    assert "s3cret" not in done.err


def test_settings_come_from_the_environment_too(command: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISPYB_SYNC_PORTAL__ALL_COMMAND", '["cat", "good.ndjson"]')
    assert command("validate", "portal:all").code == 0
    monkeypatch.setenv("ISPYB_SYNC_PORTAL__URLL", "x")
    assert_explained(command("validate", "portal:all"), 2, "portal.urll")


@pytest.mark.parametrize("what", ["portal:", "portal: MX-1", "portal:MX-", "portal:MX-1\n"])
def test_what_names_no_proposal(command: CommandLine, what: str) -> None:
    settings(["cat", "{proposal}"])
    assert_explained(command("validate", what), 2, "names no proposal", "portal:MX-2112")


@pytest.mark.parametrize(("what", "name"), [("portal:MX-1", "url"), ("portal:all", "all_url")])
def test_a_portal_that_is_not_set(command: CommandLine, what: str, name: str) -> None:
    assert_explained(command("validate", what), 2, f"portal.{name}", f"ISPYB_SYNC_PORTAL__{name.upper()}")


def test_full_is_not_for_one_proposal(command: CommandLine) -> None:
    settings(["cat", "{proposal}"])
    assert_explained(command("plan", "portal:MX-1", "--full"), 2, "--full")
