"""The verbs of ``ablate``, thin: each loads a study, calls one room and prints.

Nothing slow is imported until a verb needs it, so that ``--help`` answers at once, and no verb imports torch: that
is for the jobs.
"""

import sys

import typer

from harness.cli import plan_verb, power_verb, compute_verbs, cluster_verbs, result_verbs, store_verbs  # isort: skip, the help's order
from harness.cli.app import app
from harness.cli.extras import TRAIN, mend

__all__ = ["app", "cluster_verbs", "compute_verbs", "main", "plan_verb", "power_verb", "result_verbs", "store_verbs"]


def main() -> None:
    """Entry point of ``ablate``."""
    try:
        app()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in TRAIN:
            raise
        typer.secho(mend("this", [package]), fg="red", err=True)
        sys.exit(2)
    except Exception as error:
        from harness.study.errors import StudyError

        if not isinstance(error, StudyError):
            raise
        typer.secho(str(error), fg="red", err=True)
        sys.exit(2)
