"""The README files tell of commands, settings and fields what the code has, show what it prints, and are short."""

from pathlib import Path

import pytest
from readmes_written import FILES, ROOT, written
from sqlalchemy import URL

MOST_LINES = 150
NEVER_ABSENT = ("sql/README.md", "migrations/README.md", "sync/read/formats/README.md", "scripts/deploy/README.md")


@pytest.mark.parametrize("name", FILES)
def test_generated_blocks_are_as_the_code_has_it(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "<!-- begin: " in text
    assert written(text) == text, "scripts/readmes writes them"


def test_what_the_readme_shows_is_what_the_tool_prints(server_url: URL) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- begin: plan -->" in text
    assert written(text, server_url) == text, "scripts/readmes writes it"


def test_the_first_one_is_read_in_two_minutes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert [name for name in NEVER_ABSENT if f"]({name})" not in text] == []


def test_installing_comes_first() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = text.split("\n## ")[1]
    assert first.startswith("Install\n")
    assert "$ pipx install ." in first
    assert "$ pip install ." in first


@pytest.mark.parametrize("name", ["README.md", *NEVER_ABSENT, "tests/README.md", "scripts/README.md"])
def test_what_a_readme_links_to_is_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert [
        link for link in links if not link.startswith("http") and not (ROOT / Path(name).parent / link).exists()
    ] == []
