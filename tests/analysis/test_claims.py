"""The table of published claims, and what a comparison shows of metrics other than accuracy."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fabricated_study import CONTRASTS, claim
from fabricated_study import fabricate as fabricate_study

from analysis import Comparison, compare, contrasts, load
from analysis.claims import claim_table, ran_results
from analysis.statistics import prediction_interval

TOKENS = {"name": "length", "question": "Longer?", "a": "base+grpo", "b": "base+sft", "metric": "tokens"}
MARKS = TOKENS | {"name": "marks", "metric": "reflection"}
CLAIMS = [
    claim("H1", figure=28.09, contrast="grpo-vs-base", note="By the printed totals."),
    claim("H2", figure=1.63, contrast="grpo-vs-sft"),
    claim("H4", figure=26.5, untestable="there is no loader"),
    claim("H5", contrast="length", direction="lower"),
]
RAN = {"arm": "instruct+grpo", "protocol": "instruct-think", "rule": "strict", "step": None}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("claims")
    fabricate_study(folder, contrasts=[*CONTRASTS, TOKENS, MARKS], claims=CLAIMS)
    return compare(folder)


def test_every_claim_stands_beside_what_was_measured(compared: Comparison) -> None:
    out = compared.page.parent
    text = (out / "tables" / "claims.md").read_text()
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| H")}
    by_name = {result.name: result for result in compared.contrasts}
    for name, contrast, printed in (("H1", "grpo-vs-base", "+28.09"), ("H2", "grpo-vs-sft", "+1.63")):
        interval = by_name[contrast].interval
        assert interval is not None
        assert f"{interval.mean:+.1f}" in lines[name]
        assert f"{interval.low:+.1f} to {interval.high:+.1f}" in lines[name]
        assert printed in lines[name]
        assert f"Statement {name}." in lines[name]
        assert "a paper, table 1" in lines[name]
    assert "untestable: there is no loader" in lines["H4"]
    assert "+26.50" in lines["H4"]
    length = by_name["length"].interval
    assert length is not None
    assert f"{length.mean:+.1f} tokens" in lines["H5"]
    assert "| lower " in lines["H5"]
    assert "- H1: By the printed totals." in text
    assert text.split("\n\n")[1] in compared.page.read_text()

    sheet = pd.read_csv(out / "tables" / "claims.csv").set_index("claim")
    assert sheet.loc["H2", ["figure", "unit"]].tolist() == [1.63, "percentage point"]
    assert sheet.loc["H5", "unit"] == "token"
    assert sheet.loc["H4", "untestable"] == "there is no loader"
    assert pd.isna(sheet.loc["H4", "estimate"])
    estimates = pq.read_table(compared.estimates).to_pandas()
    printed = estimates[estimates["table"] == "claims"].set_index("row")["estimate"]
    assert printed.to_dict() == {"H1": 28.09, "H2": 1.63}


def test_a_claim_without_a_measurement_says_why(fabricate: Callable[..., Path]) -> None:
    tables = load(fabricate(lost={f"base+grpo/seed={seed}": "killed" for seed in range(3)}, claims=CLAIMS[:2]))
    table = claim_table(tables, contrasts(tables), [])
    assert table is not None
    assert "none: base+grpo has no finished run under base-think/lenient" in table.markdown()


def test_a_study_without_claims_has_no_such_table(collected: Path) -> None:
    tables = load(collected)
    assert claim_table(tables, contrasts(tables), ran_results(tables)) is None


def test_a_printed_score_stands_beside_single_runs_of_what_really_ran(fabricate: Callable[..., Path]) -> None:
    far, near = claim("H9-far", figure=3.5, ran=RAN), claim("H9-near", figure=84.0, ran=RAN, note="Never applied.")
    compared = compare(fabricate(claims=[far, near], lost={"instruct+grpo/seed=4": "killed"}, seeds=(0, 1, 2, 3, 4)))
    answers = compared.tables.answers
    ours = answers[(answers["arm"] == RAN["arm"]) & (answers["phase"] == "final") & (answers["rule"] == "strict")]
    interval = prediction_interval(100.0 * ours.groupby("run")["correct"].mean())
    assert interval.n == 4
    text = (compared.page.parent / "tables" / "claims.md").read_text()
    lines = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[4:-1]] for line in text.splitlines()
             if line.startswith("| H9")}  # fmt: skip
    against, bounds = "a run of instruct+grpo (instruct-think/strict)", f"{interval.low:.1f} to {interval.high:.1f}"
    mean = f"{interval.mean:.1f}, mean of 4 of 5 runs"
    assert lines["H9-far"] == ["3.50", against, f"{mean}; 3.50 lies outside what one run scores", bounds]
    assert lines["H9-near"] == ["84.00", against, f"{mean}; 84.00 lies within what one run scores", bounds]
    assert "a − b" not in text
    assert "where one more run of it falls" in text
    assert "- H9-near: Never applied." in text

    sheet = pd.read_csv(compared.page.parent / "tables" / "claims.csv").set_index("claim")
    assert sheet["within"].to_dict() == {"H9-far": False, "H9-near": True}
    assert sheet.loc["H9-near", ["figure", "arm", "protocol", "rule", "n", "unit"]].tolist() == [
        *(84.0, "instruct+grpo", "instruct-think", "strict", 4, "percent")
    ]
    assert sheet.loc["H9-near", "low"] == pytest.approx(interval.low)
    estimates = pq.read_table(compared.estimates).to_pandas()
    rows = estimates[(estimates["table"] == "claims") & (estimates["row"] == "H9-far")].set_index("column")
    assert rows.loc["printed", "estimate"] == 3.5
    single = rows.loc["a run of instruct+grpo"]
    assert (single["n"], single["unit"]) == (4, "percent")
    numbers = single[["estimate", "low", "high"]].astype(float).tolist()
    assert numbers == [pytest.approx(each, abs=1e-6) for each in (interval.mean, interval.low, interval.high)]


@pytest.mark.parametrize(
    ("lost", "says"),
    [
        ((1, 2), ", mean of 1 of 3 runs; no interval, as one run shows no spread"),
        ((0, 1, 2), "none: instruct+grpo has no finished run under instruct-think/strict"),
    ],
)
def test_a_printed_score_without_an_interval_says_why(
    fabricate: Callable[..., Path], lost: tuple[int, ...], says: str
) -> None:
    folder = fabricate(
        lost={f"instruct+grpo/seed={seed}": "killed" for seed in lost}, claims=[claim("H9", figure=68.34, ran=RAN)]
    )
    compared = compare(folder)
    (line,) = [line for line in compared.page.read_text().splitlines() if line.startswith("| H9")]
    cells = [cell.strip() for cell in line.split("|")[1:-1]]
    assert cells[3] == "68.34"
    assert cells[5].endswith(says)
    assert cells[6] == "–"
    estimates = pq.read_table(compared.estimates).to_pandas().set_index(["table", "row", "column"])
    single = estimates.loc[("claims", "H9", "a run of instruct+grpo")]
    assert single["n"] == 3 - len(lost)
    assert pd.isna(single["low"])


def test_other_metrics_are_named_beside_their_numbers(compared: Comparison) -> None:
    text = (compared.page.parent / "tables" / "contrasts.md").read_text()
    by_name = {result.name: result.interval for result in compared.contrasts}
    length, marks = by_name["length"], by_name["marks"]
    assert length is not None
    assert marks is not None
    assert f"{length.mean:+.1f} tokens" in text
    assert f"{marks.mean:+.2f} reflection" in text
    assert f"{marks.low:+.2f} to {marks.high:+.2f}" in text
    assert "what stands beside it (tokens in tokens; reflection in markers)" in text
    sheet = pd.read_csv(compared.page.parent / "tables" / "contrasts.csv").set_index("contrast")
    assert sheet.loc["length", "unit"] == "token"
    assert sheet.loc["grpo-vs-base", "unit"] == "percentage point"


def test_options_have_columns_of_their_own_rules(compared: Comparison) -> None:
    lines = (compared.page.parent / "tables" / "protocols.md").read_text().splitlines()
    header = [cell.strip() for cell in next(line for line in lines if line.startswith("| arm")).split("|")]
    options = [cell.strip() for cell in next(line for line in lines if "| options" in line).split("|")]
    cells = dict(zip(header, options, strict=True))
    assert cells["lenient %"] == cells["strict %"] == "–"
    assert float(cells["likelihood_per_token %"]) > 50
    assert float(cells["likelihood %"]) > 50
    arms = (compared.page.parent / "tables" / "arms.md").read_text()
    assert "scoring rule lenient (options likelihood_per_token)" in arms
