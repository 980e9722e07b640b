"""Published tables held against themselves: sums, impossible percentages, scores under chance, noise.

Reads files of printed scores (see ``results/published/README.md``) and nothing of a study. `audit_published` does it
all; each check is a function from frames to findings.
"""

from analysis.audit.aggregates import check_aggregates
from analysis.audit.chance import check_chance
from analysis.audit.claims import check_claims
from analysis.audit.findings import Checked, Finding, Severity
from analysis.audit.granularity import check_granularity
from analysis.audit.noise import check_differences
from analysis.audit.read import Published, PublishedError, read_published
from analysis.audit.repeats import check_repeats, check_reproductions
from analysis.audit.report import Audit, audit_published, audit_tables, write_audit
from analysis.audit.terminal import render

__all__ = [
    "Audit",
    "Checked",
    "Finding",
    "Published",
    "PublishedError",
    "Severity",
    "audit_published",
    "audit_tables",
    "check_aggregates",
    "check_chance",
    "check_claims",
    "check_differences",
    "check_granularity",
    "check_repeats",
    "check_reproductions",
    "read_published",
    "render",
    "write_audit",
]
