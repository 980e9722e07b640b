"""How often the intervals that are shipped hold the truth they speak about, and how often the verdicts err.

    python -m analysis.coverage [--simulations 10000] [--out results/coverage]

Studies simulated from a known truth (`simulate`, `reading`) go through the functions that make the tables: sides added
up, verdicts, adjustment, the split of a gain. It stands above the rest of the analysis; nothing imports it.
"""
