"""What a cluster gives to stages: times, merging of places, site files, what no site may set."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study import Plan, StudyError, load_study, plan_study
from harness.study.resources import (
    DEFAULTS,
    FIXED_VARIABLES,
    Resources,
    gpus_per_process,
    load_site,
    minutes_of,
    processes_of,
    resources_for,
)
from harness.study.stage import REVISIONS, Stage

SITES = Path(__file__).parents[2] / "sweeps" / "sites"


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        ("90", 90),
        ("0:30", 1),  # minutes:seconds
        ("90:30", 91),
        ("1:30:00", 90),
        ("1:30:01", 91),
        ("0:00:01", 1),
        ("00:59:60", 60),
        ("2-12", 3600),
        ("2-12:30", 3630),
        ("1-00:00:01", 1441),
        ("0-0:1", 1),
        (" 5 ", 5),
    ],
)
def test_times_as_slurm_writes_them(time: str, minutes: int) -> None:
    assert minutes_of(time) == minutes


@pytest.mark.parametrize("time", ["", "1h", "1.5", "-5", "1:2:3:4", "1-2:3:4:5", "1-", "-1:00", "2 12", "infinite"])
def test_what_is_no_time(time: str) -> None:
    with pytest.raises(ValueError, match=r"is no time; write minutes \(90\), h:mm:ss"):
        minutes_of(time)


@pytest.mark.parametrize("time", ["0", "0:00", "0:00:00", "0-0"])
def test_no_time_at_all(time: str) -> None:
    with pytest.raises(ValueError, match="smallest limit is 1 minute"):
        minutes_of(time)


@given(st.integers(0, 40), st.integers(0, 23), st.integers(0, 59), st.integers(1, 59))
def test_all_ways_of_writing_a_time_agree(days: int, hours: int, minutes: int, seconds: int) -> None:
    expected = days * 1440 + hours * 60 + minutes + 1
    assert minutes_of(f"{days}-{hours}:{minutes:02}:{seconds:02}") == expected
    assert minutes_of(f"{days * 24 + hours}:{minutes:02}:{seconds:02}") == expected
    assert minutes_of(f"{days * 1440 + hours * 60 + minutes}:{seconds:02}") == expected
    assert minutes_of(str(expected)) == expected


# ---- who wins


SFT = Stage("sft", {"compute": {"processes": 4}}, {"model": "m"})
REAL, TINY = Stage("model", {}), Stage("pretrain", {})


def test_what_nobody_says_is_the_default() -> None:
    found = resources_for(SFT, REAL)
    assert found == DEFAULTS.model_copy(update={"gpus": 1})
    assert (found.minutes, found.cpus, found.memory_gb, found.attempts) == (240, 2, 8.0, 3)
    assert found.partition is None


def test_a_kind_wins_over_all_and_the_site_over_the_study() -> None:
    study = {
        "sft": Resources(cpus=11, memory_gb=11.0, time="11"),
        "all": Resources(cpus=10, memory_gb=10.0, time="10", account="study", parallel=10),
    }
    site = {"all": Resources(cpus=20, memory_gb=20.0), "sft": Resources(cpus=21), "grpo": Resources(account="no")}
    found = resources_for(SFT, REAL, study, site)
    assert (found.cpus, found.memory_gb, found.time) == (21, 20.0, "11")
    assert (found.account, found.parallel) == ("study", 10)
    other = resources_for(Stage("evaluate", {}), REAL, study, site)
    assert (other.cpus, other.memory_gb, other.time) == (20, 20.0, "10")


def test_the_order_of_keys_in_a_file_is_nothing() -> None:
    a = {"all": Resources(cpus=1), "sft": Resources(cpus=2)}
    b = dict(reversed(list(a.items())))
    assert resources_for(SFT, REAL, a) == resources_for(SFT, REAL, b)
    assert resources_for(SFT, REAL, a).cpus == 2


def test_nothing_and_none_are_told_apart() -> None:
    """An empty list or a zero is a wish; what is left out is none."""
    study = {"all": Resources(gpus=2, modules=["cuda"], timeouts=5)}
    site = {"sft": Resources(gpus=0, modules=[], timeouts=0)}
    found = resources_for(SFT, REAL, study, site)
    assert (found.gpus, found.modules, found.timeouts) == (0, [], 0)
    assert resources_for(SFT, REAL, study, {"sft": Resources()}).gpus == 2


def test_gpus_go_to_what_runs_a_real_model() -> None:
    assert gpus_per_process(SFT, REAL) == 1
    assert gpus_per_process(Stage("evaluate", {}), REAL) == 1
    assert gpus_per_process(SFT, TINY) == 0
    assert gpus_per_process(SFT, None) == 0
    assert gpus_per_process(REAL, REAL) == 0  # only looked up and noted
    assert (processes_of(SFT), processes_of(TINY)) == (4, 1)


# ---- in a study file


def test_resources_are_no_part_of_any_identity(plan) -> None:
    plain: Plan = plan()
    changed: Plan = plan("resources={all: {cpus: 7, time: 2-12}, sft: {gpus: 3}}")
    assert list(changed.stages) == list(plain.stages)
    assert changed.study.resources["sft"].gpus == 3
    assert [stage.cosmetic for stage in changed.stages.values()] == [stage.cosmetic for stage in plain.stages.values()]


WRONG = [
    ("  sfts: {cpus: 2}", "sfts", "unknown name 'sfts'; did you mean 'sft'? Allowed: all, "),
    ("  sft: {cpu: 2}", "sft.cpu", "unknown setting; did you mean 'cpus'? Allowed: partition, "),
    ("  sft: {cpus: 0}", "sft.cpus", "0 should be greater than 0"),
    ("  sft: {gpus: -1}", "sft.gpus", "-1 should be greater than or equal to 0"),
    ("  sft: {cpus: two}", "sft.cpus", "'two' should be a valid integer"),
    ("  sft: {time: 90}", "sft.time", "90 should be a valid string; put it in quotes"),
    ('  sft: {time: "4h"}', "sft.time", "'4h' is no time; write minutes (90), h:mm:ss (1:30:00) or days-hours (2-12)"),
    ('  sft: {time: "0"}', "sft.time", "'0' is no time at all"),
    ("  sft: {memory_gb: -1.0}", "sft.memory_gb", "-1.0 should be greater than 0"),
    ("  sft: {attempts: 0}", "sft.attempts", "0 should be greater than 0"),
    ("  sft: {modules: cuda}", "sft.modules", "'cuda' should be a valid list"),
    ("  sft: 3", "sft", "3 should be a mapping of partition, "),
    ("  sft: {environment: {OMP_NUM_THREADS: '8'}}", "sft.environment", "OMP_NUM_THREADS can change an outcome"),
]


@pytest.mark.parametrize(("line", "path", "told"), WRONG, ids=[each[1] + each[2][:12] for each in WRONG])
def test_what_is_wrong_in_a_site_file_is_named_with_file_and_line(
    tmp_path: Path, line: str, path: str, told: str
) -> None:
    site = tmp_path / "here.yaml"
    site.write_text(f"# a site\nresources:\n  all: {{}}\n{line}\n")
    with pytest.raises(StudyError) as error:
        load_site(site)
    (message,) = str(error.value).splitlines()
    assert message.startswith(f"{site}:4: resources.{path}: ")
    assert told in message


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    site = tmp_path / "here.yaml"
    site.write_text("resources:\n  all: {cpus: 0}\n  grpo:\n    time: never\nmore: 1\n")
    with pytest.raises(StudyError) as error:
        load_site(site)
    starts = sorted(line.partition(" ")[0] for line in str(error.value).splitlines())
    assert starts == [f"{site}:{line}:" for line in (2, 4, 5)]


@pytest.mark.parametrize("name", FIXED_VARIABLES)
def test_what_can_change_an_outcome_is_no_sites_business(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} can change an outcome or the code that runs"):
        Resources(environment={"HF_HOME": "/x", name: "1"})
    assert Resources(environment={"HF_HOME": "/x"}).environment == {"HF_HOME": "/x"}


def test_a_site_file_that_is_not_there_is_called_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(StudyError) as error:
        load_site(tmp_path / "nowhere.yaml")
    assert str(error.value) == f"{tmp_path}/nowhere.yaml: there is no such site file"


@pytest.mark.parametrize("text", ["", "- a\n", "# nothing\n"])
def test_what_is_no_site_file_is_not_called_a_wrong_study_file(tmp_path: Path, text: str) -> None:
    site = tmp_path / "here.yaml"
    site.write_text(text)
    with pytest.raises(StudyError) as error:
        load_site(site)
    assert str(error.value).startswith(f"{site}:1: ")
    assert "resources" in str(error.value)
    assert "study:" not in str(error.value)


def test_the_same_section_in_a_study_file_is_checked_alike(write) -> None:
    path = write(("lora: {}\n", 'lora: {}\nresources:\n  grpo: {time: "4h"}\n'))
    with pytest.raises(StudyError, match=r"mini\.yaml:16: resources\.grpo\.time: '4h' is no time"):
        load_study(path)
    with pytest.raises(StudyError, match=r"--set resources\.grpo\.gpus=-1"):
        load_study(write(), ["resources.grpo.gpus=-1"])


def test_a_site_file_gives_what_it_says(tmp_path: Path) -> None:
    site = tmp_path / "here.yaml"
    site.write_text(
        "resources:\n  all: {partition: gpu, time: 2-12}\n  grpo:\n    sbatch: {reservation: vlm, exclusive: true}\n"
    )
    found = load_site(site).resources
    assert set(found) == {"all", "grpo"}
    assert (found["all"].partition, found["all"].minutes) == ("gpu", 3600)
    assert found["grpo"].sbatch == {"reservation": "vlm", "exclusive": True}
    assert found["grpo"].minutes == 240  # nothing said


def test_a_site_file_may_be_empty_of_resources(tmp_path: Path) -> None:
    site = tmp_path / "here.yaml"
    site.write_text("resources: {}\n")
    assert load_site(site).resources == {}


@pytest.mark.parametrize("path", sorted(SITES.glob("*.yaml")), ids=lambda path: path.name)
def test_the_sites_that_come_with_it_load(path: Path) -> None:
    assert load_site(path).resources


def test_every_kind_of_stage_can_be_given_something() -> None:
    for kind in REVISIONS:
        assert resources_for(Stage(kind, {}), None, {kind: Resources(cpus=9)}).cpus == 9  # type: ignore[dict-item]


def test_a_study_with_resources_can_be_planned(write) -> None:
    study = load_study(write(), ["resources.all={partition: x}", "resources.evaluate={time: '30'}"])
    plan = plan_study(study)
    stage = next(stage for stage in plan.stages.values() if stage.kind == "evaluate")
    found = resources_for(stage, None, study.resources)
    assert (found.partition, found.minutes) == ("x", 30)
