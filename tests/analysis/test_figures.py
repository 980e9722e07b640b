"""How the figures look and what is written: readable at column width, in grey, and the same bytes for the same data."""

import hashlib
import io
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import fabricated_study
import figure_study
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from analysis import Tables, arm_table, load
from analysis.compare import analyse
from analysis.figure_frames import figure_frames
from analysis.figures import GIVEN, OWN, looks, power, seeds, write_figures
from analysis.figures.style import DOUBLE, GREY, SINGLE
from analysis.figures.write import DPI, FORMATS
from analysis.files import rounded, write_csv

LONG = {
    "base": "qwen2-vl-2b-base",
    "base+sft": "qwen2-vl-2b-base+supervised-fine-tuning+matched-samples",
    "base+grpo": "qwen2-vl-2b-base+grpo",
    "instruct": "qwen2-vl-2b-instruct",
    "instruct+grpo": "anarmwhosenamehasnoplaceatwhichitcouldbebrokenintolines",
}


def frames_of(tables: Tables) -> dict[str, pd.DataFrame]:
    found = analyse(tables, draws=0)
    made = figure_frames(tables, found.contrasts, found.scopes, found.formats)
    both = [power.frame([3], 1.5, paired=paired) for paired in (True, False)]
    return made | {"power": pd.concat(both, ignore_index=True)}


def many_arms() -> dict[str, dict[str, Any]]:
    """Twelve arms with long names: two untrained, ten trained."""
    made: dict[str, dict[str, Any]] = {}
    for name, plain in LONG.items():
        made[name] = fabricated_study.ARMS[plain if plain in fabricated_study.ARMS else name]
    for number in range(7):
        made[f"qwen2-vl-2b-base+grpo+length-reward-capped-at-{100 * number}"] = fabricated_study.ARMS["base+grpo"]
    return {LONG.get(name, name): spec for name, spec in made.items()}


@pytest.fixture(scope="module", params=["usual", "ugly", "one seed"])
def study(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("study")
    if request.param == "usual":
        fabricated_study.fabricate(folder, lost={"base+grpo/seed=2": "out of memory"})
        return load(folder)
    seeds = (0,) if request.param == "one seed" else (0, 1, 2)
    arms = many_arms()
    lost = {} if request.param == "one seed" else {f"{LONG['base+sft']}/seed={seed}": "lost" for seed in seeds}
    trained = [arm for arm in arms if "+" in arm]
    contrasts = [
        {"name": f"c{i}", "question": "?", "a": a, "b": b, "metric": "accuracy" if i % 3 else "tokens", "margin": 2.0}
        for i, (a, b) in enumerate(pairwise(trained))
    ]
    with patch.object(fabricated_study, "ARMS", arms):
        fabricated_study.fabricate(folder, seeds=seeds, lost=lost, contrasts=contrasts, cvbench=True)
    return load(folder)


@pytest.fixture(scope="module")
def figures(study: Tables) -> dict[str, Figure]:
    """Every figure of the study that has data, by name."""
    table = arm_table(study)
    own = {name: figure.frame(study, table) for name, figure in OWN.items()}
    drawn = {name: OWN[name].draw(frame, study.arms) for name, frame in own.items() if not frame.empty}
    return drawn | {name: GIVEN[name].draw(frame) for name, frame in frames_of(study).items() if not frame.empty}


def test_every_figure_is_readable_at_column_width(figures: dict[str, Figure]) -> None:
    names = set()
    for name, figure in figures.items():
        names.add(name)
        width, height = figure.get_size_inches()
        assert width in (SINGLE, DOUBLE)
        assert height < 9.0, f"{name} is higher than a page"
        texts = figure_study.drawn_texts(figure)
        assert len(texts) > 5
        for text, size, box in texts:
            assert 6.0 <= size <= 8.0, (name, text)
            assert -1 <= box.x0 <= box.x1 <= figure.bbox.width + 1, f"{name}: {text!r} is cut off"
            assert -1 <= box.y0 <= box.y1 <= figure.bbox.height + 1, f"{name}: {text!r} is cut off"
        for i, (text, _, box) in enumerate(texts):
            for other, _, beside in texts[:i]:
                assert not box.padded(-1).overlaps(beside.padded(-1)), f"{name}: {text!r} lies on {other!r}"
    assert {"seeds", "dumbbells", "dynamics", "rewards", "length_accuracy", "forest", "power"} <= names


def test_no_legend_covers_data(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        figure.canvas.draw()
        parts = [figure, *figure.subfigs]
        legends = [legend.get_window_extent() for part in parts for legend in part.legends]
        assert legends, name
        for axes in figure.axes:
            assert axes.get_legend() is None
            if axes.get_visible():
                assert not any(box.overlaps(axes.get_window_extent()) for box in legends), name


def test_arms_differ_without_colour() -> None:
    shown = looks([f"arm {i}" for i in range(28)])
    assert len({(look.marker, look.line) for look in shown.values()}) == 28


def test_lines_of_a_panel_differ_without_colour(figures: dict[str, Figure]) -> None:
    for name, figure in figures.items():
        if name not in ("dynamics", "rewards", "rollouts", "power"):
            continue
        for axes in figure.axes:
            # the means; seeds have no markers
            means = [line for line in axes.lines if line.get_marker() != "None" and np.size(line.get_xdata()) > 1]
            looked = [(line.get_marker(), str(line._dash_pattern)) for line in means]
            assert len(set(looked)) == len(looked), name


def test_an_arm_looks_the_same_in_every_figure(study: Tables, figures: dict[str, Figure]) -> None:
    shown = looks(study.arms)
    for name, figure in figures.items():
        if name not in ("dynamics", "rewards"):
            continue
        handles = [line for part in [figure, *figure.subfigs] for legend in part.legends for line in legend.get_lines()]
        labels = [text for part in [figure, *figure.subfigs] for legend in part.legends for text in legend.get_texts()]
        by_label = {text.get_text().replace("\n", ""): line for text, line in zip(labels, handles, strict=False)}
        found = 0
        for arm, look in shown.items():
            for label, line in by_label.items():
                if re.fullmatch(re.escape(arm) + r" ?(\(.*seeds?\))?", label):
                    found += 1
                    assert (line.get_marker(), to_rgb(line.get_color())) == (look.marker, look.color)
        assert found >= 2, name


def shown_values(axes: Axes) -> tuple[set[float], set[float]]:
    """Horizontal and vertical coordinates of all that is drawn of the data in a panel, arrows apart."""
    x: set[float] = set()
    y: set[float] = set()
    for line in axes.lines:
        # what runs along the whole panel has one coordinate that is a number of the data
        whole = line.get_transform() != axes.transData
        ends = [np.asarray(each, dtype=float) for each in (line.get_xdata(), line.get_ydata())]
        for found, values in zip((x, y), ends, strict=True):
            found |= set() if whole and set(values) == {0.0, 1.0} else set(values[~np.isnan(values)])
    for part in axes.collections:
        drawn = [part.get_offsets()] if isinstance(part, PathCollection) else [p.vertices for p in part.get_paths()]
        for points in map(np.asarray, drawn):
            x |= set(points[:, 0])
            y |= set(points[:, 1])
    for bar in axes.patches:
        if isinstance(bar, Rectangle):
            x |= {bar.get_x(), bar.get_x() + bar.get_width()}
    return x, y


NUMBERS = ("estimate", "low", "high", "low90", "high90", "accuracy", "value", "step", "tokens", "difference", "power")


def as_svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "the same"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def test_every_figure_is_drawn_again_from_its_csv_and_shows_no_number_that_is_not_in_it(
    study: Tables, figures: dict[str, Figure], tmp_path: Path
) -> None:
    table = arm_table(study)
    frames = {name: own.frame(study, table) for name, own in OWN.items()} | frames_of(study)
    assert {"seeds", "dumbbells", "dynamics", "length_accuracy", "rewards", "forest", "formats"} <= set(figures)
    for name in figures:
        frame = pd.read_csv(write_csv(tmp_path / f"{name}.csv", frames[name]))

        def drawn(of: pd.DataFrame, name: str = name) -> Figure:
            return OWN[name].draw(of, study.arms) if name in OWN else GIVEN[name].draw(of)

        figure = drawn(frame)
        assert as_svg(figure) == as_svg(drawn(rounded(frames[name]))), name
        if name == "power":
            continue  # its lines are smooth between the points of the CSV: see below
        numbers = [frame[column].dropna().to_numpy(dtype=float) for column in NUMBERS if column in frame]
        margins = frame["margin"].dropna().to_numpy(dtype=float) if name == "forest" else np.array([])
        known = np.concatenate([[0.0], *numbers, margins, -margins])
        seen = 0
        for axes in figure.axes:
            for way, values in zip("xy", shown_values(axes), strict=True):
                if way == "y" and name in ("seeds", "dumbbells", "forest", "scopes", "formats"):
                    continue  # rows
                for value in values:
                    edges = axes.get_xlim() if name == "forest" else ()  # an interval that leaves the panel
                    assert np.isclose(known, value, atol=1e-9).any() or value in edges, (name, way, value)
                    seen += 1
        assert seen > 3, name


def test_a_panel_for_each_arm_shows_the_way_from_its_first_checkpoint_to_its_last(figures: dict[str, Figure]) -> None:
    figure = figures["length_accuracy"]
    panels = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.get_title(loc="left").replace("\n", "") for axes in panels]
    assert len(set(titles)) == len(titles)
    for axes in panels:
        hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white" and line.get_marker() == "o"]
        assert len(hollow) == 1
        # one arm alone: nothing of another lies over it
        colors = {to_rgb(line.get_color()) for line in axes.lines if line.get_color() not in ("white", GREY)}
        assert len(colors) == 1


def test_intervals_that_are_narrower_than_their_points_have_ends_over_them(usual: Tables) -> None:
    table = arm_table(usual)
    drawn = {"seeds": OWN["seeds"].draw(rounded(OWN["seeds"].frame(usual, table)), usual.arms)}
    drawn["scopes"] = GIVEN["scopes"].draw(frames_of(usual)["scopes"])
    for name, figure in drawn.items():
        lines = [line for axes in figure.axes for line in axes.lines]
        ends = [line for line in lines if line.get_marker() == "|"]
        points = [line for line in lines if line.get_marker() in ("D", "o", "v")]
        assert ends, name
        assert min(line.get_markersize() for line in ends) > max(line.get_markersize() for line in points)
        assert min(line.get_zorder() for line in ends) > max(line.get_zorder() for line in points)


@pytest.fixture(scope="module")
def usual(collected: Path) -> Tables:
    return load(collected)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_every_format_of_every_figure_is_written_with_one_sentence(usual: Tables, tmp_path: Path) -> None:
    frames = frames_of(usual)
    written = write_figures(usual, arm_table(usual), tmp_path, frames)
    # the fabricated training records no length of rollouts
    assert list(written) == [name for name in [*OWN, *GIVEN] if name != "rollouts"]
    assert set(digests(tmp_path)) == {f"{name}.{suffix}" for name in written for suffix in FORMATS}
    for name, figure in written.items():
        assert [path.name for path in figure.paths] == [f"{name}.{suffix}" for suffix in FORMATS]
        assert re.fullmatch(r"[^\n]*[^.\n]\.", figure.caption), name
        assert not re.search(r"\. [A-Z]", figure.caption), name
        assert "nan" not in figure.caption
        png, pdf = imread(tmp_path / f"{name}.png"), (tmp_path / f"{name}.pdf").read_bytes()
        assert png.shape[1] in (round(SINGLE * DPI), round(DOUBLE * DPI))
        # fonts are embedded as they are, and nothing says when it was drawn
        assert b"/FontFile2" in pdf
        assert b"/Type3" not in pdf
        assert b"CreationDate" not in pdf
        svg = (tmp_path / f"{name}.svg").read_text()
        assert "<dc:date>" not in svg
        assert "<text" not in svg
    frame = pd.read_csv(tmp_path / "seeds.csv")
    assert list(frame) == seeds.COLUMNS


def test_a_second_call_other_rows_and_another_style_change_no_byte(tmp_path: Path) -> None:
    tables = figure_study.tables()
    extra = {"power": power.frame([2], 1.0, paired=False)}
    write_figures(tables, arm_table(tables), tmp_path / "first", extra)
    shuffled = figure_study.tables(shuffled=3)
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "lines.linewidth": 9, "svg.hashsalt": "other"}):
        write_figures(shuffled, arm_table(shuffled), tmp_path / "second", extra)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")
    assert len(digests(tmp_path / "first")) == 4 * 7


def test_a_picture_shows_what_its_csv_says_to_the_last_digit(tmp_path: Path) -> None:
    """The order of a sum's terms moves its last bit, which must not move a line of the picture."""
    tables = figure_study.tables()
    frame = power.frame([2], 1.0, paired=False)
    nearly = frame.assign(difference=frame["difference"] * (1 + 1e-15), power=frame["power"] * (1 - 1e-15))
    assert not nearly.equals(frame)
    for name, each in (("first", frame), ("second", nearly)):
        write_figures(tables, arm_table(tables), tmp_path / name, {"power": each})
    assert digests(tmp_path / "first") == digests(tmp_path / "second")


def test_places_have_few_digits(figures: dict[str, Figure]) -> None:
    """The layout's solver gives other last digits from call to call."""
    for name, figure in figures.items():
        for axes in figure.axes:
            assert axes.get_position().bounds == pytest.approx(np.round(axes.get_position().bounds, 6), abs=1e-15), name
        for part in figure.subfigs:
            points = part.bbox_relative.get_points()
            assert np.array_equal(points, np.round(points, 6)), name


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\nfrom pathlib import Path\nimport figure_study\n"
        "from analysis import arm_table\nfrom analysis.figures.write import OWN, save\n"
        "tables = figure_study.tables(); own = OWN['dynamics']; frame = own.frame(tables, arm_table(tables))\n"
        "save(own.draw(frame, tables.arms), frame, Path(sys.argv[1]) / 'dynamics')"
    )
    here = Path(__file__).parent
    for name in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / name), str(here), str(here.parents[1])],
            check=True, env={"PYTHONHASHSEED": name, "PATH": ""},
        )  # fmt: skip
    assert len(digests(tmp_path / "1")) == 4
    assert digests(tmp_path / "1") == digests(tmp_path / "2")


def test_figures_that_have_no_data_any_more_are_deleted(tmp_path: Path) -> None:
    tables = figure_study.tables()
    write_figures(tables, arm_table(tables), tmp_path, {"power": power.frame([2], 1.0, paired=False)})
    (tmp_path / "own.png").write_bytes(b"somebody's own")
    less = figure_study.tables(training=None, completions=None)
    formats = pd.DataFrame([("a", "a", "now right", None, None, None)], columns=list(GIVEN["formats"].columns))
    nothing = {"power": pd.DataFrame(columns=list(power.COLUMNS)), "formats": formats}
    written = write_figures(less, arm_table(less), tmp_path, nothing)
    assert list(written) == ["seeds", "dumbbells", "dynamics"]
    assert {path.stem for path in tmp_path.iterdir()} == {"seeds", "dumbbells", "dynamics", "own"}


def test_a_frame_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    tables = figure_study.tables()
    with pytest.raises(ValueError, match=r"no figure 'pie'.*forest, scopes, formats, power"):
        write_figures(tables, arm_table(tables), tmp_path, {"pie": pd.DataFrame({"a": [1]})})
    frame = power.frame([2], 1.0, paired=False).drop(columns="sd")
    with pytest.raises(ValueError, match="'power' lacks the column 'sd'"):
        write_figures(tables, arm_table(tables), tmp_path, {"power": frame})
