"""The installation without the extra ``train``, as a reader of results has it: ``make test-light`` runs this.

A script and no pytest module, because it must run where nothing but the installation is: in a folder of its own, so
that the installed packages are imported and not those beside it.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ABLATE = Path(sys.executable).with_name("ablate")
HEAVY = ("accelerate", "datasets", "huggingface_hub", "peft", "tokenizers", "torch", "transformers", "trl")

NOTEBOOK = """
import sys
import pandas as pd
from analysis import arm_table, contrasts, load, run_scores

drawing = {"matplotlib", "seaborn"} & set(sys.modules)
assert not drawing, f"imported before anything is drawn: {drawing}"
tables = load("micro")
assert isinstance(tables.runs, pd.DataFrame)
results = {each.name: each for each in contrasts(tables)}
assert list(results) == [each["name"] for each in tables.study["contrasts"]]
assert any(each.interval is not None for each in results.values())
for each in results.values():
    print(f"{each.name}: {each.sentence}")
assert arm_table(tables).rows
"""


def command(*arguments: object, code: int = 0) -> str:
    """Standard output of a command; standard error where it is to fail."""
    began = time.monotonic()
    words = [Path(each).name if isinstance(each, Path) else str(each) for each in arguments]
    shown = " ".join("NOTEBOOK" if each == NOTEBOOK else each for each in words)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "ABLATE_STORE")}
    done = subprocess.run([str(each) for each in arguments], capture_output=True, text=True, env=environment)
    if done.returncode != code:
        sys.exit(f"{shown}\nexit code {done.returncode} instead of {code}\n{done.stdout}{done.stderr}")
    print(f"{time.monotonic() - began:5.1f} s  {shown}", flush=True)
    return done.stderr if code else done.stdout


def main() -> None:
    """Raises, or leaves with a code that isn't 0, at the first thing that is wrong."""
    there = [name for name in HEAVY if importlib.util.find_spec(name)]
    assert not there, f"the light installation brings {', '.join(there)}"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        sys.path[:] = [each for each in sys.path if Path(each) != Path(__file__).parent]
        for name in ("analysis", "harness"):
            spec = importlib.util.find_spec(name)
            assert spec is not None, f"{name} is not installed"
            assert Path(sys.prefix) in Path(spec.origin or "").parents, f"{name} comes from {spec.origin}"
        shutil.copytree(ROOT / "results" / "micro", "micro")
        shutil.rmtree("micro/tables")
        command(ABLATE, "compare", "--results", "micro")
        for path in sorted((ROOT / "results" / "micro" / "tables").iterdir()):
            assert path.read_bytes() == Path("micro/tables", path.name).read_bytes(), f"{path.name} is not as shipped"
        for study in ("micro", "paper"):
            assert "base+grpo" in command(ABLATE, "plan", ROOT / "sweeps" / f"{study}.yaml")
        assert "grpo-vs-sft" in command(ABLATE, "power", ROOT / "sweeps" / "paper.yaml", "--out", "power")
        assert Path("power/power_curve.png").exists()
        assert "grpo-vs-sft" in command(ABLATE, "power", ROOT / "sweeps" / "micro.yaml", "--results", "micro")
        command(ABLATE, "audit", ROOT / "results" / "published")
        assert "base+grpo" in command(ABLATE, "status", ROOT / "sweeps" / "micro.yaml")
        command(ABLATE, "collect", ROOT / "sweeps" / "micro.yaml", "--results", "empty")
        rules = ("--rule", "lenient", "--rule", "strict", "--rule", "authors")  # the last asks math-verify
        command(ABLATE, "rescore", "--results", "micro", *rules)
        refused = command(ABLATE, "run", ROOT / "sweeps" / "micro.yaml", code=2)
        assert refused.rstrip().endswith("pip install 'ablate[train]'"), refused
        assert len(refused.splitlines()) == 1, refused
        print(command(Path(sys.executable), "-c", NOTEBOOK), end="")


if __name__ == "__main__":
    main()
