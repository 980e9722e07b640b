"""Who may import whom. The rooms are worth something only as long as this holds."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT: dict[str, set[str]] = {
    "study": set(),
    "record": {"study"},
    "data": {"study", "record"},
    "models": {"study", "record", "data"},
    "scoring": {"study", "record", "data"},
    "train": {"study", "record", "data", "models", "scoring"},
    "evaluate": {"study", "record", "data", "models", "scoring"},
    "collect": {"study", "record", "data", "models", "scoring"},
    "launch": {"study", "record"},
    "rehearse": {"study", "record", "data", "launch"},
    "views": {"study", "record", "launch"},
    "cli": {"study", "record", "data", "models", "launch", "collect", "rehearse", "views"},
}
"""Room of the harness -> the rooms that it may stand on; none may import the analysis, but the CLI."""

HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "accelerate"}
LIGHT_ROOMS = {"study", "record", "scoring", "launch", "collect", "rehearse", "views", "cli"}


def imports(path: Path) -> set[str]:
    """Full names of all modules and names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def room(path: Path) -> str:
    inside = path.relative_to(ROOT / "harness")
    return inside.parts[0].removesuffix(".py")


HARNESS = [path for path in files("harness") if path.name != "__init__.py" or path.parent.name != "harness"]


def test_every_room_is_known() -> None:
    assert {room(path) for path in HARNESS} <= set(MAY_IMPORT)


@pytest.mark.parametrize("path", HARNESS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_stands_on_those_below_it(path: Path) -> None:
    own = room(path)
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "harness":
            used = rest.split(".")[0]
            assert used == own or used in MAY_IMPORT[own], f"{own} imports {name}"
        assert top != "analysis" or own == "cli", f"{own} imports {name}"
        assert top not in HEAVY or own not in LIGHT_ROOMS, f"{own} imports {name}"
        assert top != "tests"


@pytest.mark.parametrize("path", files("analysis"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_analysis_knows_the_files_alone(path: Path) -> None:
    for name in imports(path):
        assert name.partition(".")[0] not in {"harness", *HEAVY}, f"analysis imports {name}"


LIGHT_MODULES = [
    *("harness.study", "harness.record", "harness.scoring.rules", "harness.scoring.rewards", "harness.scoring.traces"),
    *("harness.launch.local", "harness.collect", "harness.rehearse", "harness.views", "harness.cli", "analysis"),
]


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_what_trains_nothing_does_not_import_torch(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_analysis_imports_what_draws_only_when_it_draws() -> None:
    code = "import sys, analysis; print(*sorted({'matplotlib', 'seaborn'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
