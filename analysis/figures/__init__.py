"""Figures of a study: each a module with the data frame behind it, the drawing, and a caption made from its numbers.

`write_figures` makes all of them; one look for all is in `style`. Intervals come from `analysis.statistics`.
"""

from analysis.figures.style import looks
from analysis.figures.write import GIVEN, OWN, Written, write_figures

__all__ = ["GIVEN", "OWN", "Written", "looks", "write_figures"]
