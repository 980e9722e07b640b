"""A study in minutes before anyone pays for it: every stage of every arm through the same code, with tiny models, small
files, two optimiser steps and a few questions (`reduced_study`, `rehearse`)."""

from harness.rehearse.reduce import Rehearsal, reduced_study
from harness.rehearse.run import ArmOutcome, Outcome, rehearsal_store, rehearse

__all__ = ["ArmOutcome", "Outcome", "Rehearsal", "reduced_study", "rehearsal_store", "rehearse"]
