"""Collection: from a study's run folders to its tables. Reads whatever is finished, applies the scoring rules, and
leaves nothing out silently: what is missing is a row with a state."""

from harness.collect.collect import collect

__all__ = ["collect"]
