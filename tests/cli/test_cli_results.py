"""What was collected before is not replaced in silence."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_cli import Cli

ADVICE = "`ablate collect` takes another folder by --results, and replaces them by --force"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """A study none of whose stages can be computed, collected."""
    made = Cli(tmp_path)
    (tmp_path / "fail-world").touch()
    made("collect", "toy.yaml")
    return made


def results(cli: Cli, name: str = "toy") -> Path:
    return cli.folder / "results" / name


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def finish(folder: Path) -> dict[Path, bytes]:
    """Make a folder say that all three runs were finished; what it holds then."""
    table = pq.read_table(folder / "runs.parquet")
    place = table.column_names.index("state")
    done = pa.array(["done"] * table.num_rows)
    pq.write_table(table.set_column(place, table.schema.field("state"), done), folder / "runs.parquet")
    return content(folder)


def rename(folder: Path) -> dict[Path, bytes]:
    """Make a folder another study's; what it holds then."""
    file = folder / "study.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"study": "other"}))
    return content(folder)


@pytest.mark.parametrize("verb", ["compare", "rescore"])
def test_tables_of_another_study_are_not_taken_for_the_studys_own(cli: Cli, verb: str) -> None:
    before = rename(results(cli))
    assert cli(verb, "toy.yaml", code=2) == (
        "results/toy holds the study 'other', not 'toy' of toy.yaml; name that study's file, another folder by"
        " --results, or the folder itself in place of the file\n"
    )
    assert cli(verb, "toy.yaml", "--results", "results/toy", code=2).startswith("results/toy holds the study 'other'")
    assert content(results(cli)) == before
    cli(verb, "results/toy")
    assert content(results(cli)) != before


@pytest.mark.parametrize("verb", ["compare", "rescore"])
def test_results_without_a_study_are_taken_as_they_are(cli: Cli, verb: str) -> None:
    """No study file is read: there is none at the place where it is looked for by default."""
    before = rename(results(cli))
    cli(verb, "--results", "results/toy")
    assert content(results(cli)) != before
    assert "sweeps/micro.yaml: cannot read the study file" in cli(verb, code=2)


@pytest.mark.parametrize("verb", ["compare", "rescore"])
def test_a_collected_folder_has_no_settings_to_override(cli: Cli, verb: str) -> None:
    for more in (("--results", "results/else"), ("--set", "seeds=[0]")):
        assert "leave --results and --set out" in cli(verb, "results/toy", *more, code=2)


def test_without_its_questions_a_collected_folder_does_not_say_what_its_seeds_can_show(cli: Cli) -> None:
    assert cli("power", "results/toy", code=2) == (
        "results/toy was collected before the questions were there; name the study file instead\n"
    )


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_collected_folder_is_no_study_file(cli: Cli, verb: str) -> None:
    text = cli(verb, "results/toy", code=2)
    assert (
        "results/toy: cannot read the study file (Is a directory); a file such as sweeps/micro.yaml is wanted" in text
    )
    assert "collected tables like these by --results" in text


def test_collecting_again_is_no_matter_while_nothing_is_lost(cli: Cli) -> None:
    assert "runs" in cli("collect", "toy.yaml")


def test_fewer_finished_runs_replace_more_only_by_force(cli: Cli) -> None:
    before = finish(results(cli))
    text = cli("collect", "toy.yaml", code=2)
    assert text == (
        "results/toy holds 3 finished runs of study 'toy', which the 0 of 3 planned that are finished in the store"
        f" {cli.folder / 'store'} would replace; name another folder by --results, or replace it by --force\n"
    )
    assert content(results(cli)) == before
    cli("collect", "toy.yaml", "--results", "results/else")
    assert content(results(cli)) == before
    cli("collect", "toy.yaml", "--force")
    assert pq.read_table(results(cli) / "runs.parquet").column("state").to_pylist() == ["missing"] * 3


def test_another_studys_tables_are_replaced_only_by_force(cli: Cli) -> None:
    before = rename(results(cli))
    text = cli("collect", "toy.yaml", code=2)
    assert text == (
        "results/toy holds the study 'other' with 0 finished runs, which study 'toy' would replace;"
        " name another folder by --results, or replace it by --force\n"
    )
    assert content(results(cli)) == before
    cli("collect", "toy.yaml", "--force")
    assert json.loads((results(cli) / "study.json").read_text())["study"] == "toy"


def test_a_run_leaves_more_finished_runs_alone_and_ends_as_it_would(cli: Cli) -> None:
    before = finish(results(cli))
    text = " ".join(cli("run", "toy.yaml", code=1).split())
    assert "not collected: results/toy holds 3 finished runs of study 'toy'" in text
    assert ADVICE in text
    assert "told to fail" in text
    assert "it will be left alone" not in text  # three are planned as well, so that was not known before
    assert content(results(cli)) == before
    text = cli("run", "toy.yaml", "--set", "seeds=[0]", code=1)
    assert "results/toy holds 3 finished runs and this plan has 2, so it will be left alone" in text
    assert content(results(cli)) == before
    assert "left alone" not in cli("run", "toy.yaml", "--set", "seeds=[0]", "--no-compare", code=1)
    (cli.folder / "fail-world").unlink()
    text = cli("run", "toy.yaml", "--set", "seeds=[0]")
    assert "not collected: " in text
    assert "the 2 of 2 planned" in text
    assert content(results(cli)) == before


@pytest.mark.parametrize("verb", ["run", "retry"])
def test_nothing_is_computed_for_another_studys_folder(cli: Cli, verb: str) -> None:
    cli("run", "toy.yaml", "--no-compare", code=1)
    before = rename(results(cli))
    log = (cli.folder / "store" / "toy.log").read_bytes()
    text = cli(verb, "toy.yaml", code=2)
    assert text == (
        "results/toy holds the study 'other' with 0 finished runs, which study 'toy' would replace;"
        " name another folder by --results, or collect nothing by --no-compare\n"
    )
    assert (cli.folder / "store" / "toy.log").read_bytes() == log
    assert "told to fail" in cli(verb, "toy.yaml", "--results", "results/else", code=1)
    assert (results(cli, "else") / "study.json").exists()
    assert "told to fail" in cli(verb, "toy.yaml", "--no-compare", code=1)
    assert content(results(cli)) == before


def test_attaching_looks_at_the_folder_before_and_after(cli: Cli) -> None:
    before = finish(results(cli))
    text = " ".join(cli("attach", "toy.yaml", code=1).split())
    assert "not collected: results/toy holds 3 finished runs of study 'toy'" in text
    assert content(results(cli)) == before
    before = rename(results(cli))
    text = cli("attach", "toy.yaml", code=2)
    assert text.startswith("results/toy holds the study 'other' with 3 finished runs")
    assert content(results(cli)) == before
