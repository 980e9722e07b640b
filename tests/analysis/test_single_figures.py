"""What is particular to one figure: panels and scales, marks that coincide, intervals that are narrow or wide."""

from typing import Any

import figure_study
import numpy as np
import pandas as pd
import pytest

from analysis import arm_table
from analysis.figures import GIVEN, OWN, power, seeds
from analysis.figures.style import DOUBLE, SINGLE


def test_lines_of_power_go_through_every_point_of_the_csv_and_markers_lie_on_some() -> None:
    frame = pd.concat([power.frame([8], 1.5, paired=paired) for paired in (True, False)], ignore_index=True)
    for axes, (_, chosen) in zip(power.draw(frame).axes, frame.groupby("test", sort=False), strict=True):
        lines = [line for line in axes.lines if line.get_marker() not in ("None", None)]
        assert len(lines) == chosen["seeds"].nunique()
        for line, (_, points) in zip(lines, chosen.groupby("seeds"), strict=True):
            x, y = (np.asarray(each, dtype=float) for each in (line.get_xdata(), line.get_ydata()))
            drawn = dict(zip(x, y, strict=True))
            for difference, found in zip(points["difference"], points["power"], strict=True):
                assert drawn[difference] == pytest.approx(found, abs=1e-5)
            marked: Any = line.get_markevery()
            assert 2 <= len(marked) <= 3
            assert set(x[marked]) <= set(points["difference"])
            # not where all lines lie on each other
            assert (y[marked] < 0.99).all()


def test_a_length_that_hardly_moves_does_not_fill_its_axis() -> None:
    tables = figure_study.tables()
    frame = OWN["length_accuracy"].frame(tables, arm_table(tables))
    still = frame.assign(tokens=frame["tokens"].where(frame["tokens"].isna(), 200.0 + frame["step"].astype(float) / 10))
    (axes,) = OWN["length_accuracy"].draw(still, tables.arms).axes
    low, high = axes.get_xlim()
    assert low < 181 < 220 < high + 1
    moved = OWN["length_accuracy"].draw(frame, tables.arms).axes[0].get_xlim()
    assert moved[0] < 5
    assert moved[1] > 25


@pytest.mark.parametrize(("arms", "seeds_of_each"), [(5, 8), (1, 1), (2, 3), (28, 3)])
def test_length_against_accuracy_is_readable_with_few_and_many(arms: int, seeds_of_each: int) -> None:
    rng = np.random.default_rng(1)
    names = [f"base+grpo+variant-{number}" for number in range(arms)]
    rows = []
    for name in names:
        for series, seed in [*(("run", seed) for seed in range(seeds_of_each)), ("mean", None)]:
            for step in range(0, 301, 50):
                tokens, accuracy = 10.0 + rng.normal(0, 0.4), 40 + step / 6 + rng.normal(0, 3)
                rows.append(
                    (name, seed, series, "p", step, tokens, accuracy, seeds_of_each if seed is None else 1, 9, 0)
                )
    columns = ["arm", "seed", "series", "protocol", "step", "tokens", "accuracy", "n", "questions", "excluded"]
    figure = OWN["length_accuracy"].draw(pd.DataFrame(rows, columns=columns).astype({"seed": "Int64"}), names)
    assert figure.get_size_inches()[0] == (SINGLE if arms <= 6 else DOUBLE)
    assert figure.get_size_inches()[1] < 9.5
    texts = figure_study.drawn_texts(figure)
    for i, (text, size, box) in enumerate(texts):
        assert size >= 6
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.width + 1
        assert not any(box.padded(-1).overlaps(other.padded(-1)) for _, _, other in texts[:i]), text


def test_a_start_and_a_trained_arm_of_equal_accuracy_are_both_seen() -> None:
    tables = figure_study.tables()
    frame = OWN["dumbbells"].frame(tables, arm_table(tables))
    for axes in OWN["dumbbells"].draw(frame.assign(accuracy=50.0), tables.arms).axes:
        (start,) = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
        (trained,) = [line for line in axes.lines if line.get_marker() not in ("None", None, "o")]
        assert start.get_markersize() > trained.get_markersize() + 1
        assert start.get_zorder() < trained.get_zorder()


def test_seeds_of_near_equal_accuracy_lie_on_levels_of_their_own() -> None:
    assert seeds._levels([90.0, 90.1, 90.2, 90.3, 95.0, 99.5]) == [0, 1, 2, 3, 0, 0]
    # more than there are levels: over the one that is farthest away
    assert seeds._levels([90.0, 90.1, 90.2, 90.3, 90.4]) == [0, 1, 2, 3, 0]


def test_forest_gives_large_differences_a_scale_of_their_own() -> None:
    def drawn(*estimates: float) -> list[tuple[float, float]]:
        head, tail = ("accuracy", "percentage point"), (None, None, "exploratory", "higher", "the method")
        rows = [
            (f"c{i}", f"a{i} − b", *head, each, each - 1, each + 1, each - 0.8, each + 0.8, *tail)
            for i, each in enumerate(estimates)
        ]
        figure = GIVEN["forest"].draw(pd.DataFrame(rows, columns=list(GIVEN["forest"].columns)))
        return [axes.get_xlim() for axes in figure.axes]

    small, large = drawn(2.0, 90.0, -3.0)
    assert small[1] < 10
    assert large[1] > 90
    assert len(drawn(2.0, 5.0, -3.0)) == 1
    # one alone needs no scale of its own
    assert len(drawn(2.0, 90.0)) == 1


def test_forest_shows_intervals_that_leave_the_panel_by_an_arrow() -> None:
    head = ("accuracy", "percentage point")
    tail = (None, "exploratory", "", "the method")
    rows = [
        ("a", "a", *head, 0.5, -1.0, 2.0, -0.8, 1.8, 1.0, *tail),
        ("b", "b", *head, 0.5, -5.0, 6.0, -4.0, 5.0, 1.0, *tail),
        ("c", "c", *head, 0.5, -20.0, 2.0, -18.0, 1.5, 1.0, *tail),
    ]
    figure = GIVEN["forest"].draw(pd.DataFrame(rows, columns=list(GIVEN["forest"].columns)))
    axes = figure.axes[0]
    assert axes.get_xlim()[0] > -20
    assert [line.get_marker() for line in axes.lines].count("<") == 1


def test_forest_shows_an_interval_that_is_narrower_than_its_point() -> None:
    head, tail = ("accuracy", "percentage point"), (None, None, "exploratory", "higher", "the method")
    rows = [
        (f"c{i}", f"a{i} − b", *head, at, at - 0.1, at + 0.1, at - 0.08, at + 0.08, *tail)
        for i, at in ((0, 80.0), (1, 90.0))
    ]
    axes = GIVEN["forest"].draw(pd.DataFrame(rows, columns=list(GIVEN["forest"].columns))).axes[0]
    points = [line for line in axes.lines if line.get_marker() == "o"]
    ends = [line for line in axes.lines if line.get_marker() == "|"]
    assert sorted(float(line.get_xdata()[0]) for line in ends) == pytest.approx([79.9, 80.1, 89.9, 90.1])
    assert min(line.get_markersize() for line in ends) > 1.5 * max(line.get_markersize() for line in points)
    assert min(line.get_zorder() for line in ends) > max(line.get_zorder() for line in points)


def test_power_titles_of_three_panels_stand_apart() -> None:
    names = ("t over seeds against a known constant", "t over seed-paired differences", "Welch t over unpaired seeds")
    near = power.frame([8], 2.28583, paired=False)
    for count in (1, 2, 3, 4):
        chosen = [*names, "a fourth test that has a rather long name"][:count]
        figure = power.draw(pd.concat([near.assign(test=f"{name}, α 0.0167") for name in chosen]))
        titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()]
        assert [title.split("\n")[-1] for title in titles] == ["α 0.0167, seed SD 2.29"] * count
        boxes = [box for _, _, box in figure_study.drawn_texts(figure)]
        for i, box in enumerate(boxes):
            assert box.x1 <= figure.bbox.width + 1
            assert not any(box.padded(-1).overlaps(other.padded(-1)) for other in boxes[:i])


def test_formats_draws_each_whisker_on_its_own_bar_and_none_that_cannot_be_told() -> None:
    rows = [
        ("one", "a − b", "now parsed", 90.0, 89.0, 91.0, False), ("one", "a − b", "now right", -2.0, -3.0, -1.0, False),
        ("two", "c − d", "now parsed", 6.0, 5.0, 7.0, True), ("two", "c − d", "now right", 4.0, 3.0, 5.0, True),
    ]  # fmt: skip
    axes = GIVEN["formats"].draw(pd.DataFrame(rows, columns=[*GIVEN["formats"].columns, "told"])).axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a − b (cannot be told)", "c − d"]
    bars = {bar.get_width(): (bar.get_y(), bar.get_y() + bar.get_height(), bar.get_x()) for bar in axes.patches}
    assert set(bars) == {90.0, -2.0, 6.0, 4.0}
    whiskers = {tuple(line.get_xdata()): line.get_ydata()[0] for line in axes.lines if line.get_marker() == "|"}
    assert set(whiskers) == {(5.0, 7.0), (3.0, 5.0)}
    for (low, high), level in whiskers.items():
        bottom, top, start = bars[(low + high) / 2]
        assert bottom < level < top
        assert start == 0
    totals = {float(line.get_xdata()[0]): float(line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "D"}
    assert set(totals) == {88.0, 10.0}
    # the total on a level of its own
    assert all(not bottom <= level <= top for bottom, top, _ in bars.values() for level in totals.values())
