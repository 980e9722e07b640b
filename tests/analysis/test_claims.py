"""The table of published claims, and what a comparison shows of metrics other than accuracy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fabricated_study import CONTRASTS, claim
from fabricated_study import fabricate as fabricate_study
from scipy import stats

from analysis import Comparison, claims, compare, contrasts, load
from analysis.statistics import prediction_interval
from analysis.tables.claims import claims as claim_table

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


COLUMNS = (
    "printed",
    "held against",
    "measured",
    "interval",
    "verdict",
    "because",
    "of runs",
    "so many fall in",
    "printed lies",
)


def claim_lines(text: str) -> dict[str, dict[str, str]]:
    """Cells of the claims' table by claim and heading."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    return {line[0]: dict(zip(lines[0], line, strict=True)) for line in lines[2:] if line[0].startswith("H")}


def cells(line: dict[str, str]) -> list[str]:
    return [line[column] for column in COLUMNS]


def test_every_claim_stands_beside_what_was_measured(compared: Comparison) -> None:
    out = compared.page.parent
    text = (out / "tables" / "claims.md").read_text()
    lines = claim_lines(text)
    by_name = {result.name: result for result in compared.contrasts}
    for name, contrast, printed in (("H1", "grpo-vs-base", "+28.09"), ("H2", "grpo-vs-sft", "+1.63")):
        interval = by_name[contrast].interval
        assert interval is not None
        bounds = f"{interval.low:+.1f} to {interval.high:+.1f}"
        assert (lines[name]["statement"], lines[name]["source"]) == (f"Statement {name}.", "a paper, table 1")
        assert cells(lines[name])[:4] == [printed, contrast, f"{interval.mean:+.1f}", bounds]
        assert lines[name]["declared"] == "exploratory"
    assert cells(lines["H4"])[:6] == ["+26.50", "–", "–", "–", "untestable", "there is no loader"]
    length = by_name["length"].interval
    assert length is not None
    assert cells(lines["H5"])[:3] == ["lower", "length", f"{length.mean:+.1f}"]
    assert lines["H5"]["verdict"].startswith("contradicted")
    assert "- H1: By the printed totals." in text
    assert text.split("\n\n")[1] in compared.page.read_text()

    sheet = pd.read_csv(out / "tables" / "claims.csv").set_index("claim")
    assert sheet.loc["H2", "printed"] == 1.63
    assert sheet.loc["H4", "reason"] == "there is no loader"
    assert pd.isna(sheet.loc["H4", "measured"])
    estimates = pq.read_table(compared.estimates).to_pandas()
    estimates = estimates[estimates["table"] == "claims"]
    printed = estimates[estimates["column"] == "printed"].set_index("row")["estimate"]
    assert printed.to_dict() == {"H1": 28.09, "H2": 1.63, "H4": 26.5}
    units = estimates[estimates["column"] == "measured"].set_index("row")["unit"]
    assert units.to_dict() == {"H1": "percentage point", "H2": "percentage point", "H5": "token"}


def test_a_printed_difference_is_held_against_a_difference_of_single_runs(compared: Comparison) -> None:
    by_name = {result.name: result for result in compared.results.claims}
    answers = compared.tables.answers
    final = answers[(answers["phase"] == "final") & (answers["rule"] == "lenient")]
    means = 100.0 * final.groupby(["arm", "seed"], observed=True)["correct"].mean()
    # single runs as printed have no seed in common, however ours are paired
    a, b = (means[arm].to_numpy(dtype=float) for arm in ("base+grpo", "base+sft"))
    va, vb = (np.var(values, ddof=1) * (1 + 1 / 3) for values in (a, b))
    half = stats.t.ppf(0.975, (va + vb) ** 2 / (va**2 / 2 + vb**2 / 2)) * np.sqrt(va + vb)
    low, high = a.mean() - b.mean() - half, a.mean() - b.mean() + half
    assert by_name["H2"].prediction is not None
    assert by_name["H2"].prediction.low == pytest.approx(low)
    assert by_name["H2"].within == (low <= 1.63 <= high)
    assert by_name["H1"].within is False  # 28 points printed, some 85 measured
    assert by_name["H5"].within is None  # nothing printed


def test_a_printed_mean_is_held_against_means_of_as_many_runs(fabricate: Callable[..., Path]) -> None:
    printed = [claim("H2", figure=1.63, contrast="grpo-vs-sft"), claim("H9", figure=84.0, ran=RAN)]
    several = [{**each, "name": f"{each['name']}-8", "runs": 8} for each in printed]
    tables = load(fabricate(claims=printed + several, seeds=(0, 1, 2, 3, 4)))
    found = {each.name: each for each in claims(tables, contrasts(tables, draws=0))}
    for name in ("H2", "H9"):
        one, eight = found[name].prediction, found[f"{name}-8"].prediction
        assert one is not None
        assert eight is not None
        assert (eight.mean, eight.df) == (one.mean, pytest.approx(one.df))
        assert eight.half_width == pytest.approx(one.half_width * np.sqrt((1 / 8 + 1 / 5) / (1 + 1 / 5)))
    assert found["H9-8"].reason.endswith("what the mean of 8 runs of instruct+grpo scores")
    table = claim_table(tables, list(found.values()))
    assert table is not None
    lines = claim_lines(table.markdown())
    assert {name: line["of runs"] for name, line in lines.items()} == {"H2": "1", "H9": "1", "H2-8": "8", "H9-8": "8"}


def test_a_claim_without_a_measurement_says_why(fabricate: Callable[..., Path]) -> None:
    tables = load(fabricate(lost={f"base+grpo/seed={seed}": "killed" for seed in range(3)}, claims=CLAIMS[:2]))
    found = claims(tables, contrasts(tables, draws=0))
    assert {each.verdict for each in found} == {"inconclusive"}
    assert {each.reason for each in found} == {"no run of base+grpo is there"}
    table = claim_table(tables, found)
    assert table is not None
    assert "none: no run of base+grpo is there" in table.markdown()


def test_a_study_without_claims_has_no_such_table(collected: Path) -> None:
    tables = load(collected)
    assert claim_table(tables, claims(tables, contrasts(tables, draws=0))) is None


def test_a_printed_score_stands_beside_single_runs_of_what_really_ran(fabricate: Callable[..., Path]) -> None:
    far, near = claim("H9-far", figure=3.5, ran=RAN), claim("H9-near", figure=84.0, ran=RAN, note="Never applied.")
    lost = {"instruct+grpo/seed=4": "killed"}
    tables = load(fabricate(claims=[far, near], lost=lost, seeds=(0, 1, 2, 3, 4)))
    answers = tables.answers
    ours = answers[(answers["arm"] == RAN["arm"]) & (answers["phase"] == "final") & (answers["rule"] == "strict")]
    interval = prediction_interval(100.0 * ours.groupby("run", observed=True)["correct"].mean())
    assert interval.n == 4
    found = {each.name: each for each in claims(tables, [])}
    assert {name: each.within for name, each in found.items()} == {"H9-far": False, "H9-near": True}
    assert {each.planned for each in found.values()} == {5}
    table = claim_table(tables, list(found.values()))
    assert table is not None
    text = table.markdown()
    lines = claim_lines(text)
    against, bounds = "a run of instruct+grpo (instruct-think/strict)", f"{interval.low:.1f} to {interval.high:.1f}"
    told = "lies {} what one run of instruct+grpo scores"
    for name, printed, place in (("H9-far", "3.50", "outside"), ("H9-near", "84.00", "within")):
        reason = f"{printed} {told.format(place)}"
        assert cells(lines[name]) == [
            *(printed, against, f"{interval.mean:.1f}", "–", "inconclusive", reason, "1", bounds, place)
        ]
    assert "a − b" not in text
    assert "- H9-near: Never applied." in text
    rows = {(row, column): numbers for _, row, column, *numbers in table.estimates()}
    assert rows["H9-far", "printed"][0] == 3.5
    single = rows["H9-far", "single"]
    assert single[:4] == [pytest.approx(interval.mean), pytest.approx(interval.low), pytest.approx(interval.high), 4]
    assert single[4] == "percent"


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ((1, 2), "1 run of instruct+grpo shows no spread"),
        ((0, 1, 2), "instruct+grpo has no finished run under instruct-think/strict"),
    ],
)
def test_a_printed_score_without_an_interval_says_why(
    fabricate: Callable[..., Path], lost: tuple[int, ...], reason: str
) -> None:
    gone = {f"instruct+grpo/seed={seed}": "killed" for seed in lost}
    tables = load(fabricate(lost=gone, claims=[claim("H9", figure=68.34, ran=RAN)]))
    table = claim_table(tables, claims(tables, []))
    assert table is not None
    line = cells(claim_lines(table.markdown())["H9"])
    assert line[0] == "68.34"
    assert (line[2] == "–") == (len(lost) == 3)
    assert line[3:] == ["–", "inconclusive", reason, "1", "–", "–"]
    assert ("H9", "single") not in {(row, column) for _, row, column, *_ in table.estimates()}


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
    estimates = pq.read_table(compared.estimates).to_pandas()
    chosen = estimates[(estimates["table"] == "contrasts") & (estimates["column"] == "estimate")]
    units = chosen.set_index("row")["unit"]
    assert (units["length"], units["marks"], units["grpo-vs-base"]) == ("token", "marker", "percentage point")


def test_options_have_columns_of_their_own_rules(compared: Comparison) -> None:
    lines = (compared.page.parent / "tables" / "protocols.md").read_text().splitlines()
    header = [cell.strip() for cell in next(line for line in lines if line.startswith("| arm")).split("|")]
    options = [cell.strip() for cell in next(line for line in lines if "| options" in line).split("|")]
    cells = dict(zip(header, options, strict=True))
    assert cells["lenient %"] == cells["strict %"] == "–"
    assert float(cells["likelihood_per_token %"]) > 50
    assert float(cells["likelihood %"]) > 50
    arms = (compared.page.parent / "tables" / "arms.md").read_text()
    (line,) = [line for line in arms.splitlines() if line.startswith("| instruct ") and "| options" in line]
    assert "| likelihood_per_token" in line
