"""Forms are found by their name: those of the tool, and those of a package that is installed beside it."""

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from support.small import CommandLine

README = Path(__file__).parents[2] / "sync" / "read" / "formats" / "README.md"


def example() -> str:
    """The form that the README writes."""
    found = re.search(r"```python\n(.+?)```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_document_that_the_readme_shows_is_valid(command: CommandLine) -> None:
    found = re.search(r"```json\n(.+?)```", README.read_text(), re.DOTALL)
    assert found is not None
    Path("shown.json").write_text(found[1])
    done = command("validate", "shown.json", "--json")
    report = json.loads(done.out)
    assert (done.code, report["documents"]["read"]) == (0, 1)
    assert (report["refusals"], report["warnings"]) == ([], [])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with two forms, one of which cannot be loaded; installed by pip into a folder of the test."""
    info = "our_package-1.0.dist-info"
    points = "[ispyb_sync.formats]\nourportal = our_package.ourportal:Form\nbroken = our_package.nowhere:Form\n"
    files = {
        "our_package/__init__.py": "",
        "our_package/ourportal.py": example(),
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: our-package\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": points,
    }
    folder = tmp_path_factory.mktemp("package")
    wheel, installed = folder / "our_package-1.0-py3-none-any.whl", folder / "site"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"]))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target"]
    subprocess.run([*pip, str(installed), str(wheel)], check=True, capture_output=True)
    return installed


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python finds it."""
    monkeypatch.syspath_prepend(str(site))


def test_a_package_brings_a_form(command: CommandLine, installed: None) -> None:
    """It is the one that sync/read/formats/README.md shows."""
    Path("ours.json").write_text(json.dumps({"proposals": [{"id": "1", "name": "x" * 3}, {"id": 5, "name": "y"}]}))
    done = command("plan", "ours.json", "--format", "ourportal", "--json")
    found = json.loads(done.out)
    assert done.code == 1
    assert [(r["path"], r["field"]) for r in found["refusals"] if r["code"] == "invalid_document"] == [
        ("proposals[1].id", "id")
    ]
    Path("ours.json").write_text("[]")
    done = command("plan", "ours.json", "--format", "ourportal")
    assert done.code == 2
    assert "ours.json is not of our portal" in done.err


def test_a_form_that_cannot_be_loaded(command: CommandLine, installed: None) -> None:
    done = command("validate", "good.ndjson", "--format", "broken")
    assert done.code == 2
    assert "the form broken cannot be loaded" in done.err
    assert "our_package.nowhere:Form" in done.err


@pytest.mark.parametrize("name", ["nothing", "smis.form", "../smis", "", "__init__", "README"])
def test_a_form_that_is_none(command: CommandLine, name: str) -> None:
    done = command("validate", "good.ndjson", "--format", name)
    assert done.code == 2
    assert "there is no form" in done.err
    assert "ispyb or smis" in done.err


def test_the_form_of_documents_can_be_named(command: CommandLine) -> None:
    assert command("validate", "good.ndjson", "--format", "ispyb").code == 0
