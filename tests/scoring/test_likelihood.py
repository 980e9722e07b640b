from harness.scoring.likelihood import OPTION_RULES, likelihood, likelihood_per_token
from harness.scoring.reading import Reading

CHOICES = ("red", "a large blue box", "green")


def test_the_sum_favours_short_options_and_the_mean_does_not() -> None:
    logprobs, tokens = [-3.0, -4.0, -3.5], [1, 4, 1]
    assert likelihood(logprobs, tokens, CHOICES) == Reading("red", "ok")
    assert likelihood_per_token(logprobs, tokens, CHOICES) == Reading("a large blue box", "ok")


def test_options_that_are_equally_likely_are_ambiguous_and_never_correct() -> None:
    for rule in OPTION_RULES.values():
        reading = rule([-2.0, -4.0, -2.0], [1, 1, 1], CHOICES)
        assert reading == Reading(None, "ambiguous")
        assert not any(reading.correct(choice) for choice in CHOICES)


def test_a_tie_below_the_best_is_no_tie() -> None:
    for rule in OPTION_RULES.values():
        reading = rule([-1.0, -4.0, -4.0], [1, 1, 1], CHOICES)
        assert reading.correct("red")
        assert not reading.correct("green")
