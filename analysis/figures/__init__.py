"""Figures of a study, each with the data frame behind it and a caption made from its numbers."""

from analysis.figures.write import draw_arms, draw_curves, looks, write_figures

__all__ = ["draw_arms", "draw_curves", "looks", "write_figures"]
