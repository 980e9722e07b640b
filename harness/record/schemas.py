"""Schemas of the collected tables: the whole contract between the harness and the analysis.

Column metadata hold ``description`` and, where there is one, ``unit``; the schema's own metadata hold its version.
Columns whose name ends in ``*`` here stand for one column per factor or reward part of the study.
"""

from collections.abc import Iterable

import pyarrow as pa

from harness.record.attempts import EXIT_CAUSES

SCHEMA_VERSION = 4

_RUN = [
    ("study", "string", "name of the study", ""),
    ("run", "string", "run id: arm, and seed where the arm has randomness", ""),
    ("arm", "string", "name of the arm", ""),
    ("seed", "int32", "seed of the run; null for an arm without randomness", ""),
]

_TABLES: dict[str, list[tuple[str, str, str, str]]] = {
    "runs": [
        *_RUN,
        ("factor_*", "string", "level of this factor", ""),
        ("state", "string", "done, running, failed, blocked, interrupted or missing", ""),
        ("reason", "string", "why the run is not done; empty when it is", ""),
        ("start_stage", "string", "stage id of the start model", ""),
        ("train_stage", "string", "stage id of the training; null without training", ""),
        ("protocol", "string", "the arm's own protocol", ""),
        ("final_step", "int32", "optimiser step of the final checkpoint; 0 without training", "step"),
        ("checks", "string", "manipulation checks of the training as JSON: name -> {passed, detail}; null without", ""),
        ("data_fingerprint", "string", "SHA-256 of what was trained on, in its order; null without training", ""),
        ("prompt_hash", "string", "hash of the prompt style trained with; null without training", ""),
        ("pixel_range", "string", "smallest and largest image trained on as JSON, in pixels; null without", "pixel"),
    ],
    "questions": [
        ("study", "string", "name of the study", ""),
        ("suite", "string", "name of the benchmark", ""),
        ("question", "int32", "index of the question in its suite", ""),
        ("task", "string", "Count, Relation, Depth or Distance", ""),
        ("type", "string", "2D or 3D", ""),
        ("source", "string", "data source", ""),
        ("image", "string", "source file of the image: the cluster of questions that share it", ""),
        ("text", "string", "the question", ""),
        ("choices", "list<string>", "option texts in order", ""),
        ("answer", "string", "text of the correct option", ""),
        ("answer_letter", "string", "letter of the correct option", ""),
    ],
    "answers": [
        *_RUN,
        ("step", "int32", "optimiser step of the checkpoint; 0 is the start model", "step"),
        ("phase", "string", "final: last checkpoint on all questions; curve: a checkpoint on some of them", ""),
        ("suite", "string", "name of the benchmark", ""),
        ("question", "int32", "index of the question in its suite", ""),
        ("task", "string", "Count, Relation, Depth or Distance", ""),
        ("source", "string", "data source", ""),
        ("image", "string", "source file of the image: the cluster of questions that share it", ""),
        ("protocol", "string", "name of the protocol", ""),
        ("rule", "string", "name of the scoring rule", ""),
        ("extracted", "string", "option text that the rule read off the completion, or the likeliest; null: none", ""),
        ("status", "string", "parse status: ok, no_tag, no_option, ambiguous, truncated or empty", ""),
        ("correct", "bool", "the extracted option is the correct one", ""),
    ],
    "completions": [
        *_RUN,
        ("phase", "string", "final, curve or rollout", ""),
        ("step", "int32", "optimiser step of the checkpoint, or in which the rollout was made (from 1)", "step"),
        ("suite", "string", "name of the benchmark; null for rollouts", ""),
        ("protocol", "string", "name of the protocol; null for rollouts", ""),
        ("question", "int32", "index of the question in its file", ""),
        ("sample", "int32", "index of the completion in its group; 0 when greedy", ""),
        ("text", "string", "what the model wrote, special tokens left out", ""),
        ("tokens", "int32", "length, end-of-sequence token included", "token"),
        ("finish", "string", "stop or length", ""),
        ("reward", "float64", "weighted sum of the reward parts; null in evaluation", ""),
        ("reward_*", "float64", "this reward part before weighting; null in evaluation", ""),
    ],
    "option_scores": [
        *_RUN,
        ("phase", "string", "final or curve", ""),
        ("step", "int32", "optimiser step of the checkpoint; 0 is the start model", "step"),
        ("suite", "string", "name of the benchmark", ""),
        ("protocol", "string", "name of the protocol", ""),
        ("question", "int32", "index of the question in its suite", ""),
        ("option", "int32", "index of the option in the question's choices, from 0", ""),
        ("logprob", "float64", "log-likelihood of the option's tokens after the prompt, summed", "nat"),
        ("tokens", "int32", "tokens of the option", "token"),
    ],
    "traces": [
        *_RUN,
        ("phase", "string", "final, curve or rollout", ""),
        ("step", "int32", "as in completions", "step"),
        ("suite", "string", "as in completions", ""),
        ("protocol", "string", "as in completions", ""),
        ("question", "int32", "as in completions", ""),
        ("sample", "int32", "as in completions", ""),
        ("well_formed", "bool", "the whole text is <think> ... </think> <answer> ... </answer>", ""),
        ("thinking_words", "int32", "words of the reasoning part", "word"),
        ("reflection_markers", "int32", "occurrences of aha, check, possibl, verify, wait, yet (stems)", ""),
        ("distinct_words_share", "float64", "distinct words over words of the reasoning part; null when empty", ""),
    ],
    "training": [
        *_RUN,
        ("stage", "string", "stage id of the training", ""),
        ("step", "int32", "optimiser step, from 1", "step"),
        ("loss", "float64", "training loss", ""),
        ("reward", "float64", "mean weighted reward of the step's rollouts; null for SFT", ""),
        ("reward_std", "float64", "standard deviation of the reward within groups, mean over groups", ""),
        ("reward_*", "float64", "mean of this reward part", ""),
        ("completion_length", "float64", "mean length of the rollouts", "token"),
        ("clipped_ratio", "float64", "share of rollouts that hit the completion limit", ""),
        ("kl", "float64", "mean k3 estimate against the start model; null when beta is 0", "nat"),
        ("entropy", "float64", "mean token entropy", "nat"),
        ("token_accuracy", "float64", "SFT: share of reply tokens predicted right; null for GRPO", ""),
        ("grad_norm", "float64", "gradient norm before clipping", ""),
        ("learning_rate", "float64", "learning rate of the step", ""),
        ("seconds", "float64", "wall time of the step", "s"),
    ],
    "stages": [
        ("study", "string", "name of the study", ""),
        ("stage", "string", "stage id", ""),
        ("kind", "string", "world, sat, cvbench, pretrain, model, tiny, instruct, sft, grpo or evaluate", ""),
        ("state", "string", "done, running, failed, blocked, interrupted or missing", ""),
        ("shipped", "bool", "the output came with the harness instead of being computed", ""),
        ("reason", "string", "why the stage is not done; empty when it is", ""),
        ("settings", "string", "resolved settings as JSON", ""),
        ("inputs", "string", "stage ids by role as JSON", ""),
        ("runs", "list<string>", "runs that use the stage", ""),
        ("versions", "string", "versions of Python and the libraries as JSON; null when not computed", ""),
    ],
    "attempts": [
        ("study", "string", "name of the study", ""),
        ("stage", "string", "stage id", ""),
        ("kind", "string", "kind of the stage", ""),
        ("attempt", "int32", "number of the attempt, from 1", ""),
        ("host", "string", "host name", ""),
        ("hardware", "string", "processor or GPU", ""),
        ("scheduler", "string", "local or slurm", ""),
        ("scheduler_id", "string", "job id there", ""),
        ("commit", "string", "commit of the code, '+dirty' when the tree was; null when unknown", ""),
        ("start", "string", "start, UTC, ISO 8601", ""),
        ("end", "string", "end, UTC, ISO 8601; null while running or when killed", ""),
        ("exit", "string", f"how it ended: {', '.join(EXIT_CAUSES[:-1])}, or running", ""),
        ("reason", "string", "why it ended so, in one line; empty when completed", ""),
        ("seconds", "float64", "wall time, of a lost attempt up to its last sign of life; null when unknown", "s"),
        ("cpu_seconds", "float64", "processor time; null when unknown", "s"),
        ("gpus", "int32", "GPUs that it had to itself", ""),
        ("gpu_seconds", "float64", "wall time times GPUs; null when unknown", "s"),
    ],
}

TABLE_NAMES = tuple(_TABLES)

_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "list<string>": pa.list_(pa.string()),
}


def schema(table: str, factors: Iterable[str] = (), reward_parts: Iterable[str] = ()) -> pa.Schema:
    """Schema of a collected table.

    Args:
        table: one of `TABLE_NAMES`.
        factors: names of the study's factors, for ``factor_*``.
        reward_parts: names of the reward functions, for ``reward_*``.

    Raises:
        KeyError: there is no such table; the message lists those that there are.
    """
    if table not in _TABLES:
        raise KeyError(f"no table {table!r}; there are {', '.join(TABLE_NAMES)}")
    fields = []
    for name, type_name, description, unit in _TABLES[table]:
        names = [name]
        if name.endswith("*"):
            names = [name[:-1] + part for part in sorted(factors if name == "factor_*" else reward_parts)]
        metadata = {"description": description} | ({"unit": unit} if unit else {})
        fields += [pa.field(each, _TYPES[type_name], metadata=metadata) for each in names]
    return pa.schema(fields, metadata={"table": table, "schema_version": str(SCHEMA_VERSION)})
