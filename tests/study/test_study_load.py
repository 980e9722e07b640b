"""Loading: what is refused and with which words, lines, overrides; all files of sweeps/."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.study import StudyError, load_study, plan_study
from harness.study.source import _parse

SWEEPS = Path(__file__).parents[2] / "sweeps"

# (old text, new text, line, path, what the message must say)
WRONG_FILES = [
    (
        "  steps: 300",
        "  stepz: 300",
        13,
        "grpo.stepz",
        "unknown setting; did you mean 'steps'? Allowed: steps, ",
    ),
    ("lora: {}", "lorra: {}", 14, "lorra", "did you mean 'lora'?"),
    ("study: mini\n", "", 1, "study", "missing"),
    ("study: mini", "study: ../mini", 1, "study", "'../mini' is no name"),
    ("  steps: 300", "  steps: many", 13, "grpo.steps", "'many' should be a valid integer"),
    ("  steps: 300", "  steps: 2.5", 13, "grpo.steps", "2.5 should be a valid integer"),
    ("  steps: 300", "  steps: true", 13, "grpo.steps", "true should be a valid integer"),
    ("  steps: 300", "  steps: 0", 13, "grpo.steps", "0 should be greater than 0"),
    ("  steps: 300", "  beta: .inf", 13, "grpo.beta", "finite"),
    (
        "  steps: 300",
        "  loss: dapoo",
        13,
        "grpo.loss",
        "did you mean 'dapo'? Allowed: grpo, dapo, dr_grpo, bnpo",
    ),
    (
        "  steps: 300",
        "  rewards: {acuracy: 1}",
        13,
        "grpo.rewards.acuracy",
        "did you mean 'accuracy'? Allowed:",
    ),
    ("  steps: 300", "  rewards: {}", 13, "grpo.rewards", "at least"),
    ("lora: {}", "lora: 5", 14, "lora", "5 should be a mapping of rank, alpha, dropout"),
    ("seeds: [0, 1]", "seeds: [0, 1, 0]", 2, "seeds", "0 given more than once"),
    ("seeds: [0, 1]", "seeds: []", 2, "seeds", "at least one"),
    ("seeds: [0, 1]", "seeds: [0, -1]", 2, "seeds.1", "-1 should be greater than or equal to 0"),
    ("world: {}", "scoring: [lenient, strictt]", 3, "scoring.1", "did you mean 'strict'?"),
    ("{prompt: micro-base-think}", "{prompt: micro-base}", 9, "protocols.think.prompt", "micro-base-think"),
    (
        "base: {pretrain: {}}",
        "base: {}",
        5,
        "models.base",
        "exactly one of hub, folder, pretrain, instruct, tiny; here is nothing",
    ),
    (
        "{pretrain: {}}",
        "{pretrain: {}, instruct: {of: instruct}}",
        5,
        "models.base",
        "here is pretrain and instruct",
    ),
    ("of: base", "of: bass", 7, "models.instruct.instruct.of", "unknown model 'bass'; did you mean 'base'?"),
    ("of: base", "of: instruct", 7, "models.instruct.instruct.of", "circle (instruct of instruct)"),
    ("{pretrain: {}}", "{instruct: {of: instruct}}", 7, "models.instruct.instruct.of", "circle"),
    (
        "[none, sft, grpo]",
        "[none, sft, grpoo]",
        19,
        "factors.training.grpoo",
        "did you mean 'grpo'? Allowed: none",
    ),
    ("[none, sft, grpo]", "[none, sft, 8]", 19, "factors.training", "in quotes"),
    (
        "    instruct: {prot",
        "    instructt: {prot",
        18,
        "factors.start.instructt",
        "unknown model 'instructt'",
    ),
    (
        "{protocols: [direct]}",
        "{grpo: {stepz: 1}}",
        18,
        "factors.start.instruct.grpo.stepz",
        "did you mean 'steps'",
    ),
    ("{protocols: [direct]}", "{gpro: {}}", 18, "factors.start.instruct.gpro", "did you mean 'grpo'"),
    (
        "[direct]",
        "[drect]",
        18,
        "factors.start.instruct.protocols.0",
        "did you mean 'direct'? Allowed: think",
    ),
    ("[direct]", "[direct, direct]", 18, "factors.start.instruct.protocols.1", "given twice"),
    ("  tuned: [full, lora]", "  name: [full, lora]", 20, "factors.name", "a factor can't be called that"),
    ("training: sft}", "trainin: sft}", 23, "arms.1.trainin", "did you mean 'training'?"),
    (
        "training: sft}",
        "training: stf}",
        23,
        "arms.1.training",
        "unknown level of training 'stf'; did you mean 'sft'?",
    ),
    ("training: sft}", "training: sft, name: [x]}", 23, "arms.1.name", "is no name"),
    (
        "training: sft}",
        "training: sft, set: 5}",
        23,
        "arms.1.set",
        "5 should be a mapping of start, training",
    ),
    (
        "training: sft}",
        "training: sft, set: {sft: {stps: 1}}}",
        23,
        "arms.1.set.sft.stps",
        "did you mean 'steps'?",
    ),
    ("training: sft}", "training: sft, set: {start: bas}}", 23, "arms.1.set.start", "did you mean 'base'?"),
    (
        "a: base+sft",
        "a: base+stf",
        29,
        "contrasts.0.a.arm",
        "unknown arm 'base+stf'; did you mean 'base+sft'?",
    ),
    ("a: base+sft", "a: {arm: base+sft, protocol: direct}", 29, "contrasts.0.a.protocol", "Allowed: think"),
    ("a: base+sft", "a: {arm: base+sft, rul: strict}", 29, "contrasts.0.a.rul", "did you mean 'rule'?"),
    ("a: base+sft", "a: {arm: base+sft, rule: strickt}", 29, "contrasts.0.a.rule", "did you mean 'strict'?"),
    ("a: base+sft", "a: instruct+grpo", 27, "contrasts.0", "both sides are 'instruct+grpo'"),
    (
        "a: base+sft",
        "a: base\n    pairing: seed",
        29,
        "contrasts.0.a",
        "no seeds to pair by; use pairing: none",
    ),
    ("a: base+sft", "a: base+sft\n    margin: -1", 30, "contrasts.0.margin", "greater than 0"),
    ("world: {}", "study: again", 3, "study", "given twice, first in line 1"),
    ("  steps: 300", "  <<: {steps: 3}", 13, "grpo.<<", "merge keys"),
]


@pytest.mark.parametrize(("old", "new", "line", "path", "says"), WRONG_FILES)
def test_a_mistake_is_shown_with_its_line_path_and_mend(write, old, new, line, path, says):
    file = write((old, new))
    with pytest.raises(StudyError) as caught:
        load_study(file)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"{file}:{line}: {path}: "), first
    assert says in first


WRONG_OVERRIDES = [
    ("grpo.stepz=3", "--set grpo.stepz=3: unknown setting; did you mean 'steps'?"),
    ("gpro.steps=3", "--set gpro.steps=3: gpro: unknown setting; did you mean 'grpo'?"),
    ("grpo=3", "--set grpo=3: 3 should be a mapping of steps, "),
    ("grpo={stepz: 3}", "--set grpo={stepz: 3}: grpo.stepz: unknown setting"),
    ("grpo.steps=", "--set grpo.steps=: nothing should be a valid integer"),
    ("grpo.steps", "--set grpo.steps: an override is written path=value"),
    ("grpo..steps=3", "--set grpo..steps=3: an override is written path=value"),
    ("seeds=[0", "--set seeds=[0: not YAML"),
    ("seeds=[4, 4]", "--set seeds=[4, 4]: 4 given more than once"),
    ("arms.4.start=base", "--set arms.4.start=base: arms is a list; '4' is not in it. Allowed: 0 to 3"),
    ("arms.0.start=bse", "--set arms.0.start=bse: unknown level of start 'bse'; did you mean 'base'?"),
    ("study.title=x", "--set study.title=x: study is 'mini', which has no 'title' in it"),
]


@pytest.mark.parametrize(("override", "says"), WRONG_OVERRIDES)
def test_a_wrong_override_is_shown_as_it_was_typed(write, override, says):
    with pytest.raises(StudyError) as caught:
        load_study(write(), [override])
    assert str(caught.value).startswith(says)


def test_a_good_override_does_not_take_the_blame_for_the_file(write):
    file = write(("lora: {}", "lora: {rank: 0}"))
    with pytest.raises(StudyError, match=r"mini\.yaml:14: lora\.rank: 0 should be greater than 0"):
        load_study(file, ["lora.alpha=3.0"])


def test_all_mistakes_of_a_file_are_shown_at_once(write):
    with pytest.raises(StudyError) as caught:
        load_study(write(("  steps: 300", "  stepz: 3\n  loss: x"), ("lora: {}", "lora: {rank: 1.5}")))
    assert len(caught.value.problems) == 3
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [1", ":1: not YAML"),
        ("a: b\n\tc: d\n", ":2: not YAML"),
        ("- 1", ":1: a study file is a mapping"),
        ("", "a study file is a mapping"),
        ("a: &x [*x]", "an alias"),
        ("? [1, 2]\n: 3", "keys are names"),
        ("a: !!python/object:os.system x", "not YAML"),
    ],
)
def test_a_file_that_is_no_study_at_all(tmp_path, content, says):
    file = tmp_path / "x.yaml"
    file.write_text(content)
    with pytest.raises(StudyError) as caught:
        load_study(file)
    assert str(caught.value).startswith(str(file))
    assert says in str(caught.value)


def test_a_missing_file_shows_those_that_there_are(write):
    there = write()
    with pytest.raises(StudyError, match=r"nowhere\.yaml: cannot read .*; there are: .*mini\.yaml"):
        load_study(there.with_name("nowhere.yaml"))


def test_bytes_that_are_no_text(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_bytes(b"study: \xff")
    with pytest.raises(StudyError, match="UTF-8"):
        load_study(file)


def test_overrides_change_lists_make_mappings_and_the_last_wins(write):
    study = load_study(write(), ["seeds=[5]", "curve.questions=7", "grpo.steps=1", "grpo.steps=2", "arms.0.name=z"])
    assert study.seeds == [5]
    assert study.curve.questions == 7
    assert study.grpo.steps == 2
    assert study.arms[0]["name"] == "z"


def test_an_override_reaches_names_with_dots(write):
    file = write(("  think: {", "  v1.5: {"), ("[think]", "[v1.5]"))
    study = load_study(file, ["protocols.v1.5.max_new_tokens=9"])
    assert study.protocols["v1.5"].max_new_tokens == 9


def test_an_override_of_an_alias_changes_one_place(write):
    file = write(("sft: {}", "sft: &s {steps: 10}"), ("lora: {}", "lora: {}\ncurve: {}"))
    file.write_text(file.read_text().replace("training: sft}", "training: sft, set: {sft: *s}}"))
    study = load_study(file, ["arms.1.set.sft.steps=20"])
    assert study.sft.steps == 10


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers())
def test_numbers_are_read_as_python_writes_them(number):
    """PyYAML by itself reads 1e-05 as text."""
    _, value = _parse(f"x: {number!r}", "file")
    assert value == {"x": number}
    assert type(value["x"]) is type(number)


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "n", "1:30", "007", "2020-01-01"])
def test_words_stay_words(word):
    assert _parse(f"x: {word}", "file")[1] == {"x": word}


@pytest.mark.parametrize("file", sorted(SWEEPS.glob("*.yaml")), ids=lambda file: file.name)
def test_every_study_in_sweeps_loads_and_plans(file):
    plan = plan_study(load_study(file))
    assert plan.study.study == file.stem
    assert len(plan.runs) >= len(plan.arms) > 1
    assert len(plan.contrasts) == len(plan.study.contrasts) > 0


def test_importing_the_room_imports_nothing_heavy():
    code = (
        "import sys, harness.study; "
        "print({'torch', 'transformers', 'pandas', 'pyarrow', 'numpy'}.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
