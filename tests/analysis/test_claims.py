"""The table of published claims, and what a comparison shows of metrics other than accuracy."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from fabricated_study import CONTRASTS, claim
from fabricated_study import fabricate as fabricate_study

from analysis import Comparison, compare, contrasts, load
from analysis.contrast_tables import claim_table

TOKENS = {"name": "length", "question": "Longer?", "a": "base+grpo", "b": "base+sft", "metric": "tokens"}
MARKS = TOKENS | {"name": "marks", "metric": "reflection"}
CLAIMS = [
    claim("H1", figure=28.09, contrast="grpo-vs-base", note="By the printed totals."),
    claim("H2", figure=1.63, contrast="grpo-vs-sft"),
    claim("H4", figure=26.5, untestable="there is no loader"),
    claim("H5", contrast="length", direction="lower"),
]


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
    table = claim_table(tables, contrasts(tables))
    assert table is not None
    assert "none: base+grpo has no finished run under base-think/lenient" in table.markdown()


def test_a_study_without_claims_has_no_such_table(collected: Path) -> None:
    tables = load(collected)
    assert claim_table(tables, contrasts(tables)) is None


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
