from collections.abc import Callable

import pytest

from harness.record.outputs import read_steps
from harness.scoring.rewards import Rollout, pay
from harness.study.training import RewardTerm

STEPS, PROMPTS, GROUP = 3, 3, 6


def test_every_rollout_is_recorded(train: Callable) -> None:
    rows = read_steps(train("grpo").folder / "rollouts")
    assert [row["step"] for row in rows] == [step for step in range(1, STEPS + 1) for _ in range(PROMPTS * GROUP)]
    for first in range(0, len(rows), GROUP):
        group = rows[first : first + GROUP]
        assert [row["sample"] for row in group] == list(range(GROUP))
        assert len({row["question"] for row in group}) == 1
    assert len({row["text"] for row in rows}) > STEPS * PROMPTS, "all completions of a group are the same"


def test_rewards_are_those_of_the_texts(train: Callable) -> None:
    rows = read_steps(train("grpo").folder / "rollouts")
    for row in rows:
        rollout = Rollout(row["text"], "<think>", tuple(row["choices"]), row["answer"])
        assert row["reward_accuracy"] == pay("accuracy", RewardTerm(), [rollout])[0]
        assert row["reward_format"] == pay("format", RewardTerm(), [rollout])[0]
        assert row["reward"] == row["reward_accuracy"] + row["reward_format"]
    assert any(row["reward"] for row in rows)
    assert not all(row["reward"] for row in rows)


def test_metrics_are_means_of_the_rollouts(train: Callable) -> None:
    folder = train("grpo").folder
    rollouts = read_steps(folder / "rollouts")
    for metrics in read_steps(folder / "metrics"):
        rows = [row for row in rollouts if row["step"] == metrics["step"]]

        def mean(name: str, rows=rows) -> float:
            return sum(row[name] for row in rows) / len(rows)

        assert metrics["reward"] == pytest.approx(mean("reward"), abs=1e-6)
        assert metrics["reward_accuracy"] == pytest.approx(mean("reward_accuracy"), abs=1e-6)
        assert metrics["reward_format"] == pytest.approx(mean("reward_format"), abs=1e-6)
        assert metrics["completion_length"] == pytest.approx(mean("tokens"), abs=1e-4)
        clipped = sum(row["finish"] == "length" for row in rows) / len(rows)
        assert metrics["clipped_ratio"] == pytest.approx(clipped, abs=1e-6)
        assert metrics["kl"] is None  # beta is 0


def test_tokens_and_finish_are_those_of_the_texts(train: Callable) -> None:
    for row in read_steps(train("grpo").folder / "rollouts"):
        words = len(row["text"].split())  # one token per word; special ones are left out of the text
        assert row["finish"] in ("stop", "length")
        assert words + (row["finish"] == "stop") <= row["tokens"] <= 28
        assert row["finish"] == "stop" or row["tokens"] == 28


def test_weights_of_rewards_are_paid(train: Callable) -> None:
    run = train("grpo", rewards={"format": RewardTerm(weight=0.5)})
    rows = read_steps(run.folder / "rollouts")
    assert all(row["reward"] == 0.5 * row["reward_format"] for row in rows)
    assert "reward_accuracy" not in rows[0]
    assert "reward_accuracy" not in read_steps(run.folder / "metrics")[0]
