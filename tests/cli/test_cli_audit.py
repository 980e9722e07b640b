"""`ablate audit` as a user types it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "results" / "published"


def audit(*arguments: str, code: int = 0, folder: Path = ROOT) -> str:
    """Run the verb; standard output and error together."""
    command = [sys.executable, "-m", "harness.cli", "audit", *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def test_it_prints_findings_and_sentences() -> None:
    text = audit("results/published")
    assert "Audit of published scores: 5 errors" in text
    flat = " ".join(text.split())
    assert "printed is 31.38, 2.27 points above the 29.11 that its parts give" in flat
    assert "Examined" in text


def test_it_prints_only_unless_told_to_write(tmp_path: Path) -> None:
    mine = shutil.copytree(PUBLISHED, tmp_path / "mine", ignore=shutil.ignore_patterns("audit*"))
    before = sorted(path.name for path in mine.iterdir())
    audit(str(mine))
    assert sorted(path.name for path in mine.iterdir()) == before


def test_it_makes_the_committed_files_again(tmp_path: Path) -> None:
    text = audit("results/published", "--out", str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in PUBLISHED.glob("audit*")}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (PUBLISHED / path.name).read_bytes(), path.name
        assert path.name in text


def test_strict(tmp_path: Path) -> None:
    audit("results/published", "--strict", code=1)
    heading, *rows = (PUBLISHED / "scores.csv").read_text().splitlines()
    clean = tmp_path / "scores.csv"
    clean.write_text("\n".join([heading, *(line for line in rows if ",SAT," in line)]) + "\n")
    # a file is as good as a folder
    assert "0 errors" in audit(str(clean), "--strict")


@pytest.mark.parametrize("content", ["", "source,table\nx,y\n"])
def test_a_file_that_is_not_as_it_should_be(tmp_path: Path, content: str) -> None:
    (tmp_path / "scores.csv").write_text(content)
    text = audit(str(tmp_path), code=2)
    assert "scores.csv" in text
    assert "Traceback" not in text
    assert "accuracy_percent" in text


def test_no_such_folder(tmp_path: Path) -> None:
    assert "no file nowhere" in audit("nowhere", code=2, folder=tmp_path)
