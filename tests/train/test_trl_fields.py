"""Every setting of a shipped sweep reaches the field of trl that it is meant for, and the paper's values are there."""

import dataclasses
import importlib.machinery
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.sft_config import SFTConfig

from harness.study import load_study, plan_study
from harness.study.training import ComputeSettings, GRPOSettings, SFTSettings
from harness.train import common
from harness.train.grpo import grpo_arguments
from harness.train.sft import sft_arguments

SWEEPS = sorted((Path(__file__).parents[2] / "sweeps").glob("*.yaml"))
FIELDS = {config: {field.name for field in dataclasses.fields(config)} for config in (GRPOConfig, SFTConfig)}
NOT_HERE = ("deepspeed", "fsdp", "fsdp_config", "use_vllm", "vllm_mode", "vllm_server_base_url")
"""Arguments whose packages or GPUs a test machine doesn't have; that trl knows them is tested all the same."""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a cluster: DeepSpeed and vLLM can be found."""
    find = importlib.util.find_spec

    def find_spec(name: str, *rest: Any) -> Any:
        return importlib.machinery.ModuleSpec(name, None) if name in ("deepspeed", "vllm") else find(name, *rest)

    monkeypatch.setattr(common.importlib.util, "find_spec", find_spec)


def trainings(path: Path) -> dict[str, tuple[str, Any]]:
    arms = plan_study(load_study(path)).arms
    return {
        arm.name: (arm.settings.training, getattr(arm.settings, arm.settings.training))
        for arm in arms
        if arm.settings.training != "none"
    }


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_trl_takes_the_arguments_of_every_arm(path: Path, tmp_path: Path) -> None:
    for kind, settings in trainings(path).values():
        make: Callable[..., dict[str, Any]] = grpo_arguments if kind == "grpo" else sft_arguments
        config = GRPOConfig if kind == "grpo" else SFTConfig
        arguments = make(settings, 0, tmp_path)
        assert set(arguments) <= FIELDS[config]
        made = config(**{name: value for name, value in arguments.items() if name not in NOT_HERE})
        for name, value in arguments.items():
            if name not in (*NOT_HERE, "report_to"):  # "none" becomes an empty list
                assert getattr(made, name) == value, name


@pytest.mark.usefixtures("installed")
def test_the_papers_values_arrive(tmp_path: Path) -> None:
    kind, settings = trainings(SWEEPS[0].with_name("paper.yaml"))["base+grpo"]
    assert kind == "grpo"
    arguments = grpo_arguments(settings, 4, tmp_path)
    wanted = {
        "max_steps": 1500,
        "learning_rate": 1e-6,
        "lr_scheduler_type": "linear",
        "warmup_steps": 0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "beta": 0.04,
        "num_generations": 8,
        "num_iterations": 1,
        "max_completion_length": 700,
        "temperature": 1.0,
        "top_k": 50,
        "top_p": 1.0,
        "loss_type": "grpo",
        "scale_rewards": "group",
        "per_device_train_batch_size": 8,  # one prompt's completions
        "gradient_accumulation_steps": 2,
        "steps_per_generation": 2,
        "bf16": True,
        "gradient_checkpointing": True,
        "reward_weights": [1.0, 1.0],
        "seed": 4,
    }
    assert {name: arguments[name] for name in wanted} == wanted
    assert arguments["deepspeed"]["zero_optimization"]["stage"] == 2
    assert settings.decay_steps == 3750
    assert 4 * 8 * 2 == settings.prompts_per_step * settings.completions_per_prompt == 64


def test_the_rate_decays_over_the_declared_steps(train: Callable) -> None:
    """The schedule of a longer training, of which only the first steps are taken."""
    from harness.record.outputs import read_steps

    rows = read_steps(train("sft", warmup_steps=0, decay_steps=12, learning_rate=1.2e-3).folder / "metrics")
    assert [row["learning_rate"] for row in rows] == pytest.approx([1.2e-3, 1.1e-3, 1.0e-3])


def test_batches_are_counted_as_trl_counts_them(tmp_path: Path) -> None:
    settings = GRPOSettings(
        steps=12,
        prompts_per_step=6,
        completions_per_prompt=4,
        optimizer_steps_per_generation=3,
        iterations=2,
        compute=ComputeSettings(processes=2, accumulation=2),
    )
    arguments = grpo_arguments(settings, 0, tmp_path)
    assert arguments["per_device_train_batch_size"] == 6
    assert arguments["steps_per_generation"] == 6
    assert arguments["num_iterations"] == 2
    sft = SFTSettings(batch_size=12, compute=ComputeSettings(processes=2, accumulation=3))
    assert sft_arguments(sft, 0, tmp_path)["per_device_train_batch_size"] == 2


@pytest.mark.parametrize(
    ("changes", "package"),
    [
        ({"compute": {"deepspeed": {}, "precision": "bfloat16"}}, "deepspeed"),
        ({"vllm": {}}, "vllm"),
    ],
)
def test_a_missing_package_is_named_with_its_mend(changes: dict[str, Any], package: str, tmp_path: Path) -> None:
    settings = GRPOSettings.model_validate(changes)
    with pytest.raises(ImportError, match=rf"{package}.*pip install 'ablate\[cluster\]'"):
        grpo_arguments(settings, 0, tmp_path)


@pytest.mark.usefixtures("installed")
def test_sharding_and_vllm_are_given_to_trl_in_its_own_words(tmp_path: Path) -> None:
    settings = GRPOSettings.model_validate(
        {
            "compute": {"fsdp": {"offload_parameters": True}, "precision": "bfloat16-mixed"},
            "vllm": {"mode": "server", "server": "http://node:8000"},
        }
    )
    arguments = grpo_arguments(settings, 0, tmp_path)
    assert set(arguments) <= FIELDS[GRPOConfig]
    assert arguments["fsdp_config"]["version"] == 2
    assert arguments["fsdp_config"]["cpu_offload"] is True
    assert (arguments["use_vllm"], arguments["vllm_mode"]) == (True, "server")
    assert arguments["vllm_server_base_url"] == "http://node:8000"
