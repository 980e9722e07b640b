"""Contrasts and claims of a study: what is filled in, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.study import Plan, Side, StudyError, describe, load_study, plan_study

OPTIONS = ("  direct: {prompt: micro-instruct-direct}", "  direct: {prompt: micro-instruct-direct, method: options}")
B = "b: instruct+grpo\n"
BOTH_BASE = (("base: {protocols: [think]}", "base: {protocols: [think, direct]}"),)
BOTH = ("instruct: {protocols: [direct]}", "instruct: {protocols: [think, direct]}")


def with_fields(fields: str) -> tuple[tuple[str, str], ...]:
    """The contrast with more fields, from line 31 on."""
    return ((B, f"{B}    {fields}\n"),)


def test_sides_get_protocol_and_rule(plan: Callable[..., Plan]) -> None:
    (contrast,) = plan().contrasts
    assert contrast.a == Side(arm="base+sft", protocol="think", rule="lenient")
    assert contrast.b == Side(arm="instruct+grpo", protocol="direct", rule="lenient")


def test_a_protocol_of_options_is_read_by_likelihood_per_token_unless_declared(write: Callable) -> None:
    (contrast,) = plan_study(load_study(write(OPTIONS))).contrasts
    assert (contrast.a.rule, contrast.b.rule) == ("lenient", "likelihood_per_token")
    declared = write(OPTIONS, ("b: instruct+grpo", "b: {arm: instruct+grpo, rule: likelihood}"))
    (contrast,) = plan_study(load_study(declared)).contrasts
    assert contrast.b.rule == "likelihood"


def test_a_metric_other_than_accuracy_has_no_rule(write: Callable) -> None:
    (contrast,) = plan_study(load_study(write(("b: instruct+grpo", "b: instruct+grpo\n    metric: tokens")))).contrasts
    assert (contrast.a.rule, contrast.b.rule) == (None, None)


@pytest.mark.parametrize("step", [0, 50, 250, 300])
def test_a_side_may_be_a_checkpoint_of_the_curve(write: Callable, step: int) -> None:
    file = write(("b: instruct+grpo", f"b: {{arm: instruct+grpo, step: {step}}}"))
    (contrast,) = plan_study(load_study(file)).contrasts
    assert contrast.b.step == step


def test_a_checkpoint_may_stand_against_the_last(write: Callable) -> None:
    change = ("a: base+sft", "a: {arm: instruct+grpo, step: 50}\n    pairing: seed")
    (contrast,) = plan_study(load_study(write(change))).contrasts
    assert contrast.a.arm == contrast.b.arm


def test_the_same_runs_on_both_sides_are_paired_unless_one_is_the_start_model(write: Callable) -> None:
    with pytest.raises(StudyError, match="the runs of 'instruct\\+grpo' stand on two sides"):
        load_study(write(("a: base+sft", "a: {arm: instruct+grpo, step: 50}")))
    (contrast,) = plan_study(load_study(write(("a: base+sft", "a: {arm: instruct+grpo, step: 0}")))).contrasts
    assert contrast.pairing == "none"


def test_a_difference_of_differences_has_all_four_sides_filled_in(write: Callable) -> None:
    fields = "minus: {a: base+grpo+lora, b: {arm: base, rule: strict}}\n    margin: 1.5"
    (contrast,) = plan_study(load_study(write(*with_fields(fields)))).contrasts
    assert contrast.minus is not None
    assert contrast.minus.a == Side(arm="base+grpo+lora", protocol="think", rule="lenient")
    assert contrast.minus.b == Side(arm="base", protocol="think", rule="strict")
    assert list(contrast.sides) == ["a", "b", "minus.a", "minus.b"]
    assert contrast.sides["minus.a"] == contrast.minus.a


def test_an_arm_without_seeds_is_a_constant_in_a_paired_difference_of_differences(write: Callable) -> None:
    """Of the same runs under two protocols the difference is only known seed by seed."""
    fields = "minus: {a: {arm: base+sft, protocol: direct}, b: {arm: base, protocol: direct}}\n    pairing: seed"
    changes = (*BOTH_BASE, (B, f"b: base\n    {fields}\n"))
    (contrast,) = plan_study(load_study(write(*changes))).contrasts
    assert contrast.pairing == "seed"
    assert [side.protocol for side in contrast.sides.values()] == ["think", "think", "direct", "direct"]


@pytest.mark.parametrize("rule", ["best_half", "mean_last"])
def test_an_untrained_side_stands_against_any_rule_for_checkpoints(write: Callable, rule: str) -> None:
    (contrast,) = plan_study(load_study(write((B, f"b: base\n    checkpoint: {rule}\n")))).contrasts
    assert (contrast.checkpoint, contrast.last_k) == (rule, 3)


def test_as_many_last_checkpoints_as_there_are(write: Callable) -> None:
    (contrast,) = plan_study(load_study(write(*with_fields("checkpoint: mean_last\n    last_k: 6")))).contrasts
    assert contrast.last_k == 6


@pytest.mark.parametrize(
    ("fields", "expected"),
    [("alpha: 0.01", 1.5), ("metric: tokens", None), ("seed_sd: 0.7", 0.7), ("metric: tokens\n    seed_sd: 9.0", 9.0)],
)
def test_the_expected_spread_over_seeds_is_the_studys_for_accuracy(
    write: Callable, fields: str, expected: float | None
) -> None:
    file = write(*with_fields(fields), ("lora: {}", "lora: {}\npower: {seed_sd: 1.5}"))
    (contrast,) = plan_study(load_study(file)).contrasts
    assert contrast.seed_sd == expected


def test_what_a_contrast_and_the_planning_of_seeds_are_by_default(plan: Callable[..., Plan]) -> None:
    made = plan()
    (contrast,) = made.contrasts
    assert (contrast.alpha, contrast.family, contrast.margin, contrast.seed_sd) == (0.05, None, None, None)
    assert (contrast.checkpoint, contrast.exclusions, contrast.minus) == ("last", ["failed_checks"], None)
    assert made.study.power.model_dump() == {
        **{"seed_sd": None, "seed_correlation": 0.0, "discordance": 0.2, "design_effect": 1.0},
        **{"power": 0.8, "difference": 2.0},
    }


CLAIM = "\nclaims:\n  - {name: c, statement: It is so., source: a paper, contrast: %s}\n"
RAN = CLAIM.replace("contrast: %s", "%s")


def with_claim(text: str, given: str) -> tuple[str, str]:
    return "b: instruct+grpo\n", "b: instruct+grpo\n" + text % given


MISTAKES: list[tuple[tuple[tuple[str, str], ...], int, str, str]] = [
    (
        (("b: instruct+grpo", "b: {arm: instruct+grpo, rule: likelihood}"),),
        30,
        "contrasts.0.b.rule",
        "unknown scoring rule of this study 'likelihood'; Allowed: lenient, strict",
    ),
    (
        (OPTIONS, ("b: instruct+grpo", "b: {arm: instruct+grpo, rule: strict}")),
        30,
        "contrasts.0.b.rule",
        "unknown scoring rule of protocol 'direct' 'strict'; Allowed: likelihood_per_token, likelihood",
    ),
    (
        (OPTIONS, ("b: instruct+grpo", "b: instruct+grpo\n    metric: reflection")),
        30,
        "contrasts.0.b",
        "metric 'reflection' is of completions, and 'direct' (method: options) writes none; name a protocol",
    ),
    (
        (("b: instruct+grpo", "b: {arm: instruct+grpo, rule: strict}\n    metric: tokens"),),
        30,
        "contrasts.0.b.rule",
        "'strict' has no effect, as metric 'tokens' needs no scoring rule; leave it out",
    ),
    (
        (("b: instruct+grpo", "b: {arm: base, step: 50}"),),
        30,
        "contrasts.0.b.step",
        "50: arm 'base' is not trained and has no checkpoints; leave step out",
    ),
    (
        (("b: instruct+grpo", "b: {arm: instruct+grpo, step: 120}"),),
        30,
        "contrasts.0.b.step",
        "keeps no checkpoint after step 120 (checkpoint_every: 50); the nearest are 50, 100, 150",
    ),
    (
        (("b: instruct+grpo", "b: {arm: instruct+grpo, step: 50}"), ("lora: {}", "lora: {}\ncurve: {questions: 0}")),
        31,
        "contrasts.0.b.step",
        "50: arm 'instruct+grpo' has no curve; set curve.questions above 0, or leave step out",
    ),
    (
        (BOTH, ("b: instruct+grpo", "b: {arm: instruct+grpo, protocol: direct, step: 50}")),
        30,
        "contrasts.0.b.step",
        "the curve of arm 'instruct+grpo' is under its own protocol 'think' alone, not 'direct'",
    ),
    (
        (("a: base+sft", "a: {arm: instruct+grpo, step: 50}"), ("b: instruct", "b: {arm: instruct+grpo, step: 50} #")),
        27,
        "contrasts.0",
        "both sides are 'instruct+grpo' under 'direct', scored 'lenient'; change one",
    ),
    (
        with_fields("minus: {a: base+sfx, b: base}"),
        31,
        "contrasts.0.minus.a.arm",
        "unknown arm 'base+sfx'; did you mean 'base+sft'?",
    ),
    (
        with_fields("minus: {a: {arm: base, step: 50}, b: base+sft}"),
        31,
        "contrasts.0.minus.a.step",
        "50: arm 'base' is not trained and has no checkpoints; leave step out",
    ),
    (
        with_fields("minus: {a: base}"),
        31,
        "contrasts.0.minus.b",
        "missing; a study must give it",
    ),
    (
        with_fields("minus: {a: base+grpo+lora, b: instruct+grpo}"),
        31,
        "contrasts.0.minus.b",
        "the same as side b: 'instruct+grpo' under 'direct'; the four sides of a difference of differences are four",
    ),
    (
        (("a: base+sft", "a: base"), *with_fields("pairing: seed")),
        29,
        "contrasts.0.a",
        "'base' has no randomness and so no seeds to pair by; use pairing: none",
    ),
    (
        (
            *BOTH_BASE,
            (B, "b: base\n    minus: {a: {arm: base, protocol: direct}, b: {arm: base, rule: strict}}\n"),
            ("question: Which is ahead?", "question: Which is ahead?\n    pairing: seed"),
        ),
        29,
        "contrasts.0.pairing",
        "'seed': fewer than two of the four sides have seeds, so there is nothing to pair; use pairing: none",
    ),
    (
        (*BOTH_BASE, *with_fields("minus: {a: base, b: {arm: base+sft, protocol: direct}}")),
        27,
        "contrasts.0.pairing",
        "'none': the runs of 'base+sft' stand on two sides and are not independent; use pairing: seed",
    ),
    (
        with_fields("checkpoint: best"),
        31,
        "contrasts.0.checkpoint",
        "unknown value 'best'; did you mean 'best_half'? Allowed: last, best_half, mean_last",
    ),
    (
        with_fields("metric: tokens\n    checkpoint: best_half"),
        32,
        "contrasts.0.checkpoint",
        "'best_half' takes the checkpoint of the highest accuracy, and the metric is 'tokens'; use metric: accuracy",
    ),
    (
        (("a: base+sft", "a: {arm: base+sft, step: 50}"), *with_fields("checkpoint: mean_last")),
        29,
        "contrasts.0.a.step",
        "50 against checkpoint: mean_last, which takes its checkpoints by itself; leave step out",
    ),
    (
        (("lora: {}", "lora: {}\ncurve: {questions: 0}"), *with_fields("checkpoint: best_half")),
        30,
        "contrasts.0.a",
        "checkpoint: best_half needs the curve of arm 'base+sft', which has none; set curve.questions above 0",
    ),
    (
        (*BOTH_BASE, ("a: base+sft", "a: {arm: base+sft, protocol: direct}"), *with_fields("checkpoint: best_half")),
        29,
        "contrasts.0.a.protocol",
        "the curve of arm 'base+sft' is under its own protocol 'think' alone, not 'direct'; name that one",
    ),
    (
        with_fields("checkpoint: mean_last\n    last_k: 7"),
        32,
        "contrasts.0.last_k",
        "7: arm 'base+sft' keeps 6 checkpoints (50, 100, 150, 200, 250, 300); lower last_k",
    ),
    (
        with_fields("last_k: 4"),
        27,
        "contrasts.0",
        "last_k 4 has no effect with checkpoint: last; leave it out, or use checkpoint: mean_last",
    ),
    (
        (*BOTH_BASE, ("a: base+sft", "a: base"), (B, "b: {arm: base, protocol: direct}\n    checkpoint: best_half\n")),
        31,
        "contrasts.0.checkpoint",
        "'best_half' has no effect, as no side is trained; leave it out",
    ),
    (with_fields("alpha: 0.5"), 31, "contrasts.0.alpha", "0.5 should be less than 0.5"),
    (with_fields("alpha: 0.0"), 31, "contrasts.0.alpha", "0.0 should be greater than 0"),
    (with_fields("seed_sd: 0.0"), 31, "contrasts.0.seed_sd", "0.0 should be greater than 0"),
    (with_fields("family: two words"), 31, "contrasts.0.family", "'two words' is no name"),
    (
        with_fields("exclusions: [failed_cheks]"),
        31,
        "contrasts.0.exclusions.0",
        "unknown value 'failed_cheks'; did you mean 'failed_checks'?",
    ),
    (
        with_fields("exclusions: [failed_checks, failed_checks]"),
        31,
        "contrasts.0.exclusions",
        "'failed_checks' given more than once; keep one",
    ),
    (
        (("lora: {}", "lora: {}\npower: {seed_correlation: 1.0}"),),
        15,
        "power.seed_correlation",
        "1.0 should be less than 1",
    ),
    (
        (("lora: {}", "lora: {}\npower: {design_effect: 0.5}"),),
        15,
        "power.design_effect",
        "0.5 should be greater than or equal to 1",
    ),
    (
        (("b: instruct+grpo\n", "b: instruct+grpo\n" + CLAIM % "frist"),),
        33,
        "claims.0.contrast",
        "unknown contrast 'frist'; did you mean 'first'?",
    ),
    (
        (("b: instruct+grpo\n", "b: instruct+grpo\n" + CLAIM % "first" + CLAIM[9:] % "first"),),
        34,
        "claims.1.name",
        "two claims are called 'c'; rename one",
    ),
    (
        (with_claim(RAN, "figure: 68.3, ran: {arm: instruct+gpro}"),),
        33,
        "claims.0.ran.arm",
        "unknown arm 'instruct+gpro'; did you mean 'instruct+grpo'?",
    ),
    (
        (with_claim(RAN, "figure: 68.3, ran: {arm: instruct+grpo, protocol: think}"),),
        33,
        "claims.0.ran.protocol",
        "unknown protocol of arm 'instruct+grpo' 'think'; Allowed: direct",
    ),
    (
        (with_claim(RAN, "figure: 68.3, ran: {arm: instruct+grpo, rule: authors}"),),
        33,
        "claims.0.ran.rule",
        "unknown scoring rule of this study 'authors'; Allowed: lenient, strict",
    ),
    (
        (with_claim(RAN, "figure: 68.3, ran: {arm: instruct+grpo, step: 50}"),),
        33,
        "claims.0.ran.step",
        "50: a printed score is of a run's last checkpoint; leave step out",
    ),
    (
        (with_claim(RAN, "ran: instruct+grpo"),),
        33,
        "claims.0",
        "ran without figure; give the printed score that a run of that arm is held against",
    ),
    (
        (with_claim(RAN, "contrast: first, runs: 8"),),
        33,
        "claims.0",
        "runs 8 without figure; give the printed mean, or leave runs out",
    ),
    (
        (with_claim(RAN, "figure: 683.4, ran: instruct+grpo"),),
        33,
        "claims.0",
        "figure 683.4 is no score in percent; with ran it is from 0 to 100",
    ),
    (
        (with_claim(RAN, "figure: 68.3, ran: instruct+grpo, contrast: first"),),
        33,
        "claims.0",
        "a claim has exactly one of contrast, ran, untestable; here is contrast and ran",
    ),
    (
        (with_claim(RAN, "figure: 68.3"),),
        33,
        "claims.0",
        "a claim has exactly one of contrast, ran, untestable; here is nothing",
    ),
]


@pytest.mark.parametrize(("changes", "line", "setting", "says"), MISTAKES)
def test_a_mistake_is_named_with_its_line_and_the_mend(
    write: Callable, changes: Any, line: int, setting: str, says: str
) -> None:
    with pytest.raises(StudyError) as caught:
        load_study(write(*changes))
    first = str(caught.value).splitlines()[0]
    assert f"mini.yaml:{line}: {setting}: " in first
    assert says in first


def test_a_study_of_options_alone_needs_no_rule_for_completions(write: Callable) -> None:
    changes = (OPTIONS, ("  think: {prompt: micro-base-think}", "  think: {prompt: micro-base-think, method: options}"))
    (contrast,) = plan_study(load_study(write(*changes), ["scoring=[likelihood]"])).contrasts
    assert contrast.a.rule == "likelihood_per_token"


def test_completions_need_a_rule_that_reads_them(write: Callable) -> None:
    with pytest.raises(StudyError, match="no rule that reads completions; name one: lenient, strict, authors"):
        load_study(write(), ["scoring=[likelihood]"])


def test_claims_may_be_untestable(write: Callable) -> None:
    claim = "\nclaims:\n  - {name: c, statement: It is so., source: a paper, untestable: no loader}\n"
    study = load_study(write(("b: instruct+grpo\n", "b: instruct+grpo\n" + claim)))
    assert [each.untestable for each in study.claims] == ["no loader"]


def test_the_arm_that_really_ran_gets_protocol_and_rule(write: Callable) -> None:
    study = load_study(write(with_claim(RAN, "figure: 68.34, ran: instruct+grpo")))
    (claim,) = plan_study(study).claims
    assert claim.ran == Side(arm="instruct+grpo", protocol="direct", rule="lenient")
    assert claim.figure == 68.34
    (claim,) = plan_study(load_study(write(OPTIONS, with_claim(RAN, "figure: 0, ran: instruct+grpo")))).claims
    assert claim.ran == Side(arm="instruct+grpo", protocol="direct", rule="likelihood_per_token")


def test_a_plan_says_what_decides_a_claim(write: Callable) -> None:
    claims = (RAN % "figure: 68.34, ran: instruct+grpo") + CLAIM[9:].replace("name: c", "name: d") % "first"
    claims += RAN[9:].replace("name: c", "name: e") % "untestable: no loader"
    told = describe(plan_study(load_study(write(("b: instruct+grpo\n", "b: instruct+grpo\n" + claims)))))
    assert [row.decided_by for row in told.claims] == ["a run of instruct+grpo (direct, lenient)", "first", ""]
    assert [row.figure for row in told.claims] == [68.34, None, None]
    assert told.claims[2].untestable == "no loader"
