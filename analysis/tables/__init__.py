"""Tables: text cells and numbers for readers, the same numbers for machines."""

from analysis.tables.old import *  # noqa: F403
