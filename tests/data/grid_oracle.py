"""What the tests believe of a scene: the colours of its nine cells, read off the image's pixels, and answers from
them alone. Shares no code with the world but the palette."""

import re
from collections import Counter

from PIL import Image

from harness.data.world import COLORS

Cell = tuple[int, int]
"""Row and column."""


def read_grid(image: Image.Image) -> dict[Cell, str]:
    """Colour in the middle of each cell that has one."""
    names = {rgb: name for name, rgb in COLORS.items()}
    edge = image.width / 3
    grid = {}
    for row in range(3):
        for column in range(3):
            x, y = round((column + 0.5) * edge), round((row + 0.5) * edge)
            seen = Counter(
                names[rgb]
                for dx in range(-5, 6)
                for dy in range(-5, 6)
                if (rgb := image.getpixel((x + dx, y + dy))) in names
            )
            if seen:
                grid[row, column] = seen.most_common(1)[0][0]
    return grid


def place(grid: dict[Cell, str], color: str) -> Cell:
    """The one cell of a colour."""
    (cell,) = (cell for cell, there in grid.items() if there == color)
    return cell


def steps(grid: dict[Cell, str], a: str, b: str) -> int:
    """Distance between two colours in steps along rows and columns."""
    (row_a, column_a), (row_b, column_b) = place(grid, a), place(grid, b)
    return abs(row_a - row_b) + abs(column_a - column_b)


def answer(grid: dict[Cell, str], question: str, choices: tuple[str, ...]) -> str:
    """The right option; fails where the question has no single right one."""
    if match := re.fullmatch(r"how many (\w+)", question):
        return str(list(grid.values()).count(match[1]))
    if match := re.fullmatch(r"where is (\w+) from (\w+)", question):
        (row_a, column_a), (row_b, column_b) = place(grid, match[1]), place(grid, match[2])
        if set(choices) == {"left", "right"}:
            assert column_a != column_b
            return "left" if column_a < column_b else "right"
        assert set(choices) == {"above", "below"}
        assert row_a != row_b
        return "above" if row_a < row_b else "below"
    a, b = choices
    if question == "which is nearer":
        assert place(grid, a)[0] != place(grid, b)[0]
        return max(choices, key=lambda color: place(grid, color)[0])  # nearer is lower
    match = re.fullmatch(r"which is closer to (\w+)", question)
    assert match, question
    assert steps(grid, match[1], a) != steps(grid, match[1], b)
    return min(choices, key=lambda color: steps(grid, match[1], color))


FACT = re.compile(r"count \w+ \d \.|(?:row|col|far \w+) \w+ \d \w+ \d \.")


def is_true(grid: dict[Cell, str], fact: str) -> bool:
    """Whether a stated fact holds."""
    words = fact.removesuffix(" .").split()
    if words[0] == "count":
        return list(grid.values()).count(words[1]) == int(words[2])
    if words[0] == "far":
        anchor, a, n, b, m = words[1:]
        return (steps(grid, anchor, a), steps(grid, anchor, b)) == (int(n), int(m))
    axis = {"row": 0, "col": 1}[words[0]]
    a, n, b, m = words[1:]
    return (place(grid, a)[axis], place(grid, b)[axis]) == (int(n), int(m))
