"""The order in which a run sees the training rows: a function of its seed alone, so that all arms of one seed see
the same."""

import random


def row_order(rows: int, wanted: int, seed: int) -> list[int]:
    """Indices of the first ``wanted`` rows: a fresh permutation of all ``rows`` for every epoch.

    Raises:
        ValueError: there are no rows to choose from.
    """
    if rows < 1:
        raise ValueError("the training file holds no rows")
    order: list[int] = []
    epoch = 0
    while len(order) < wanted:
        indices = list(range(rows))
        random.Random(f"rows/{seed}/{epoch}").shuffle(indices)
        order += indices
        epoch += 1
    return order[:wanted]


def spread(rows: int, wanted: int | None) -> list[int]:
    """``wanted`` positions evenly spaced over a file, all where that is None or too many.

    Benchmarks stand in their files sorted by source and task, so that their first rows would be of one kind.
    """
    if wanted is None or wanted >= rows:
        return list(range(rows))
    return [place * rows // wanted for place in range(wanted)]
