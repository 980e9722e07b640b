"""The shipped published scores: what the audit finds in them, and that its files follow from them byte for byte."""

import re
from pathlib import Path

import pytest
from published_maker import PUBLISHED

from analysis.audit import Audit, Finding, Severity, audit_published, write_audit

PAPER = "arXiv:2503.05132v2"


@pytest.fixture(scope="module")
def result() -> Audit:
    return audit_published(PUBLISHED)


def find(result: Audit, check: str, condition: str, what: str) -> Finding:
    (found,) = (one for one in result.findings if (one.check, one.condition, one.what) == (check, condition, what))
    return found


def test_the_files_are_made_again(result: Audit, tmp_path: Path) -> None:
    paths = write_audit(result, tmp_path)
    assert {path.name for path in PUBLISHED.glob("audit*")} == {path.name for path in paths}
    for path in paths:
        assert path.read_bytes() == (PUBLISHED / path.name).read_bytes(), path.name


def test_errors_are_these(result: Audit) -> None:
    assert [(one.check, one.condition, one.what) for one in result.findings if one.severity is Severity.ERROR] == [
        ("aggregate", "base", "CV-Bench total"),
        ("aggregate", "base+grpo", "BLINK average"),
        ("duplicate", "T4 instruct+grpo; T5 instruct+grpo (frozen none)", "CV-Bench"),
        ("claim", "H3: base+grpo - instruct", "CV-Bench total"),
        ("claim", "H4: base+grpo - base+sft", "BLINK average"),
    ]


def test_bases_total_is_off_its_tasks(result: Audit) -> None:
    found = find(result, "aggregate", "base", "CV-Bench total")
    assert found.numbers["difference"] == pytest.approx(2.267, abs=5e-4)
    assert found.numbers["implied"] == pytest.approx(100 * 768 / 2638)
    assert "(768 right answers out of 2638)" in found.sentence
    assert "the plain mean of the tasks is 27.24" in found.sentence


def test_blinks_average_is_off_its_parts_by_either_mean(result: Audit) -> None:
    found = find(result, "aggregate", "base+grpo", "BLINK average")
    assert found.numbers["implied"] == pytest.approx(100 * 143 / 267)
    assert "53.18, 0.38 points below the 53.56" in found.sentence
    assert "No mean of the parts gives the printed figure; the plain mean of the tasks is 53.37" in found.sentence
    assert "Of 2 other rows of BLINK with parts, 2 follow the mean weighted by questions." in found.sentence


def test_one_configuration_has_two_scores(result: Audit) -> None:
    found = find(result, "duplicate", "T4 instruct+grpo; T5 instruct+grpo (frozen none)", "CV-Bench")
    assert (found.numbers["printed"], found.numbers["other"]) == (66.03, 63.57)
    assert found.numbers["difference"] == pytest.approx(2.46)
    for text in ("Count 69.54 and 61.68 (+7.86)", "Relation 61.84 and 71.08 (-9.24)"):
        assert text in found.sentence


def test_scores_below_chance(result: Audit) -> None:
    found = {(one.condition, one.what) for one in result.findings if one.check == "chance"}
    blink = ("BLINK Relative Depth", "BLINK Spatial Relation", "BLINK average")
    cvbench = ("CV-Bench Depth", "CV-Bench Relation", "CV-Bench Distance")
    assert found == {*(("base", what) for what in (*blink, *cvbench, "VSR total")), ("base+sft", "VSR total")}


def test_grpo_against_sft_is_undecidable(result: Audit) -> None:
    found = find(result, "difference", "base+grpo - base+sft", "CV-Bench total")
    assert found.severity is Severity.WARNING
    assert found.numbers["difference"] == pytest.approx(1.63)
    assert found.numbers["standard_error"] == pytest.approx(1.36, abs=0.005)
    assert found.numbers["z"] == pytest.approx(1.20, abs=0.005)
    assert found.numbers["discordance"] == pytest.approx(18.27, abs=0.01)
    assert "undecidable from the printed totals" in found.sentence
    assert "Outside of it: Distance +10.83." in found.sentence
    (runs,) = (one for one in result.findings if one.what == "all tasks")
    assert "as a claim about methods every one is undecidable from one run each" in runs.sentence


def test_claims_against_totals_and_parts(result: Audit) -> None:
    found = {(one.name, one.difference.a.benchmark): one for one in result.claims}
    assert len(found) == 5
    totals = {key: one.difference.points for key, one in found.items()}
    assert totals == pytest.approx(
        {
            ("H1", "CV-Bench"): 28.09,
            ("H2", "CV-Bench"): 1.63,
            ("H3", "CV-Bench"): 3.83,
            ("H4", "BLINK"): 0.75,
            ("H4", "VSR"): 26.52,
        }
    )
    by_parts = found["H1", "CV-Bench"].by_parts
    assert by_parts == pytest.approx(30.36, abs=0.005)
    assert found["H4", "VSR"].by_parts is None
    severities = {
        one.condition.split(":")[0] + one.what[:2]: one.severity for one in result.findings if one.check == "claim"
    }
    error, warning, note = Severity
    assert severities == {"H1CV": warning, "H2CV": note, "H3CV": error, "H4BL": error, "H4VS": note}


def test_reproductions(result: Audit) -> None:
    printed = {tuple(one.percents) for one in result.reproductions}
    assert printed == {(55.64, 61.6), (59.47, 58.4), (66.03, 63.57, 70.36)}


def test_no_percentage_is_impossible_but_two_ways_of_printing_are_mixed(result: Audit) -> None:
    (found,) = (one for one in result.findings if one.check == "granularity")
    assert (found.severity, found.where) == (Severity.NOTE, PAPER)
    assert "can only have been rounded (5 in T5)" in found.sentence


def test_formats_hold_the_same_findings(result: Audit, tmp_path: Path) -> None:
    sentences = [one.sentence for one in result.findings]
    write_audit(result, tmp_path)
    page, tex, html, csv = ((tmp_path / f"audit.{kind}").read_text() for kind in ("md", "tex", "html", "csv"))
    assert all(sentence in page for sentence in sentences)
    # findings and differences are higher than a page, the three others are not
    assert (tex.count("\\begin{longtable}"), tex.count("\\begin{table}")) == (2, 3)
    assert [tex.count(f"\\raggedright ({place}) ") for place in range(1, len(sentences) + 1)] == [1] * 32
    assert len(set(re.findall(r"\\label{(.*?)}", tex))) == 5
    assert html.count("<table") == html.count("</table>") == 5
    assert len(csv.splitlines()) == len(sentences) + 1
