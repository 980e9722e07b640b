"""The miniature world: small scenes of coloured shapes in a 3x3 grid, drawn with PIL, and questions about them.

A scene is a pure function of its split and index. In a 3D scene depth is the row: nearer is lower and larger.
A brightness gradient runs over the background, so that a patch shows where in the image it lies.
"""

import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

IMAGE_SIZE = 84
"""Edge of a scene's image in pixels."""
CELL = IMAGE_SIZE / 3
COLORS = {
    "red": (214, 48, 48),
    "green": (52, 168, 83),
    "blue": (58, 88, 220),
    "yellow": (240, 200, 40),
    "purple": (150, 70, 190),
    "cyan": (60, 200, 210),
}
TASKS = ("Count", "Relation", "Depth", "Distance")
SCENE_TYPE = {"Count": "2D", "Relation": "2D", "Depth": "3D", "Distance": "3D"}

SPLITS = ("pretrain", "train", "test")
SCENES_PER_SPLIT = 1_000_000_000


@dataclass(frozen=True)
class Thing:
    """One shape: its colour, grid cell (0-2, row 0 on top), centre and radius in pixels, and form."""

    color: str
    row: int
    column: int
    x: float
    y: float
    radius: float
    shape: str


@dataclass(frozen=True)
class Scene:
    """What an image shows; ``type`` is 2D or 3D as in CV-Bench, ``brightness`` that of the background (0-255)."""

    type: str
    things: tuple[Thing, ...]
    brightness: int

    def unique(self) -> list[Thing]:
        """The things whose colour occurs once, so that a colour names them."""
        colors = [thing.color for thing in self.things]
        return [thing for thing in self.things if colors.count(thing.color) == 1]


@dataclass(frozen=True)
class Problem:
    """A question about a scene. ``fact`` states what must be read off the image to answer it."""

    task: str
    question: str
    choices: tuple[str, ...]
    answer: str
    fact: str


def scene_seed(split: str, index: int) -> int:
    """Seed of a scene's random stream; the splits own disjoint ranges.

    Raises:
        ValueError: unknown split, or an index outside the split's range.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is unknown; there are {', '.join(SPLITS)}")
    if not 0 <= index < SCENES_PER_SPLIT:
        raise ValueError(f"scene index {index} is outside 0..{SCENES_PER_SPLIT - 1}")
    return SPLITS.index(split) * SCENES_PER_SPLIT + index


def scene_rng(split: str, index: int) -> random.Random:
    """The random stream that scene ``index`` of a split and its questions are drawn from."""
    return random.Random(scene_seed(split, index))


def draw_scene(rng: random.Random, scene_type: str) -> Scene:
    """A random scene of type 2D (2-5 things, colours may repeat) or 3D (three things of different colours)."""
    things = _flat_things(rng) if scene_type == "2D" else _deep_things(rng)
    return Scene(scene_type, tuple(things), rng.randint(190, 235))


def _flat_things(rng: random.Random) -> list[Thing]:
    count = rng.choice([2, 3, 4, 5])
    cells = rng.sample(range(9), count)
    names = list(COLORS)
    if rng.random() < 0.6:  # repeated colours give counting something to count
        colors = [rng.choice(names) for _ in range(count)]
        colors = [colors[0] if rng.random() < 0.45 else color for color in colors]
    else:
        colors = rng.sample(names, count)
    things = []
    for cell, color in zip(cells, colors, strict=True):
        row, column = divmod(cell, 3)
        radius = rng.uniform(0.27, 0.40) * CELL
        slack = (CELL / 2 - radius) * 0.8
        x = (column + 0.5) * CELL + rng.uniform(-slack, slack)
        y = (row + 0.5) * CELL + rng.uniform(-slack, slack)
        things.append(Thing(color, row, column, x, y, radius, rng.choice(_SHAPES)))
    return things


def _deep_things(rng: random.Random) -> list[Thing]:
    colors = rng.sample(list(COLORS), 3)
    while True:  # at least two depths
        cells = [(rng.randrange(3), column) for column in rng.sample(range(3), 3)]
        if len({row for row, _ in cells}) > 1:
            break
    things = []
    for (row, column), color in zip(cells, colors, strict=True):
        radius = (0.2 + 0.1 * row) * CELL * rng.uniform(0.93, 1.07)
        x = (column + 0.5) * CELL + rng.uniform(-3, 3)
        y = (row + 0.5) * CELL + rng.uniform(-2, 2)
        things.append(Thing(color, row, column, x, y, radius, rng.choice(_SHAPES)))
    return things


_SHAPES = ("disc", "square", "triangle")
_Y, _X = np.mgrid[0:IMAGE_SIZE, 0:IMAGE_SIZE] / (IMAGE_SIZE - 1.0)
_BACKGROUND = {
    "2D": np.stack([-90 * _Y + 40 * _X, -90 * _Y, -90 * _Y - 40 * _X], -1),
    "3D": np.where(
        (_Y < 0.15)[..., None],
        np.array([60.0, 80.0, 110.0]),
        np.stack([-20 - 90 * _Y + 40 * _X, -30 - 90 * _Y, -45 - 90 * _Y - 40 * _X], -1),
    ),
}


def render(scene: Scene) -> Image.Image:
    """The scene as an RGB image of `IMAGE_SIZE` pixels squared; nearer things are drawn over farther ones."""
    pixels = np.clip(_BACKGROUND[scene.type] + scene.brightness, 0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for thing in sorted(scene.things, key=lambda each: each.row):
        x, y, r = thing.x, thing.y, thing.radius
        if thing.shape == "disc":
            pen.ellipse([x - r, y - r, x + r, y + r], fill=COLORS[thing.color])
        elif thing.shape == "square":
            r *= 0.88
            pen.rectangle([x - r, y - r, x + r, y + r], fill=COLORS[thing.color])
        else:
            pen.polygon([(x, y - r), (x - r, y + r * 0.85), (x + r, y + r * 0.85)], fill=COLORS[thing.color])
    return image


def distance(a: Thing, b: Thing) -> int:
    """Steps between two things' cells, along rows and columns."""
    return abs(a.column - b.column) + abs(a.row - b.row)


def count_fact(scene: Scene, color: str) -> str:
    return f"count {color} {sum(thing.color == color for thing in scene.things)} ."


def place_fact(axis: str, a: Thing, b: Thing) -> str:
    """``axis`` is row or col."""
    where = {"row": lambda thing: thing.row, "col": lambda thing: thing.column}[axis]
    return f"{axis} {a.color} {where(a)} {b.color} {where(b)} ."


def distance_fact(anchor: Thing, a: Thing, b: Thing) -> str:
    return f"far {anchor.color} {a.color} {distance(anchor, a)} {b.color} {distance(anchor, b)} ."


def ask(scene: Scene, task: str, rng: random.Random) -> Problem | None:
    """A random question of a task about a scene, its choices in random order; None if the scene allows none."""
    question = {
        "Count": _ask_count,
        "Relation": _ask_relation,
        "Depth": _ask_depth,
        "Distance": _ask_distance,
    }[task]
    problem = question(scene, rng)
    if problem is None:
        return None
    choices = list(problem.choices)
    rng.shuffle(choices)
    return Problem(task, problem.question, tuple(choices), problem.answer, problem.fact)


def _ask_count(scene: Scene, rng: random.Random) -> Problem | None:
    color = rng.choice([thing.color for thing in scene.things])
    count = sum(thing.color == color for thing in scene.things)
    lowest = max(1, count - rng.randint(0, 2))
    choices = tuple(str(lowest + i) for i in range(3))
    return Problem("Count", f"how many {color}", choices, str(count), count_fact(scene, color))


def _ask_relation(scene: Scene, rng: random.Random) -> Problem | None:
    things = scene.unique()
    if len(things) < 2:
        return None
    a, b = rng.sample(things, 2)
    axes = [axis for axis, differ in (("col", a.column != b.column), ("row", a.row != b.row)) if differ]
    axis = rng.choice(axes)  # two things never share a cell, so one axis differs
    words = ("left", "right") if axis == "col" else ("above", "below")
    first = a.column < b.column if axis == "col" else a.row < b.row
    question = f"where is {a.color} from {b.color}"
    return Problem("Relation", question, words, words[0] if first else words[1], place_fact(axis, a, b))


def _ask_depth(scene: Scene, rng: random.Random) -> Problem | None:
    a, b = rng.sample(scene.unique(), 2)
    if a.row == b.row:
        return None
    nearer = a if a.row > b.row else b
    return Problem("Depth", "which is nearer", (a.color, b.color), nearer.color, place_fact("row", a, b))


def _ask_distance(scene: Scene, rng: random.Random) -> Problem | None:
    anchor, a, b = rng.sample(scene.unique(), 3)
    if distance(anchor, a) == distance(anchor, b):
        return None
    closer = a if distance(anchor, a) < distance(anchor, b) else b
    question = f"which is closer to {anchor.color}"
    return Problem("Distance", question, (a.color, b.color), closer.color, distance_fact(anchor, a, b))


def sample(rng: random.Random, task: str, questions: int = 1) -> tuple[Scene, list[Problem]]:
    """A scene with so many different questions of a task (at most two always exist)."""
    while True:
        scene = draw_scene(rng, SCENE_TYPE[task])
        problems: list[Problem] = []
        for _ in range(4 * questions):
            problem = ask(scene, task, rng)
            if problem and all(_key(problem) != _key(other) for other in problems):
                problems.append(problem)
            if len(problems) == questions:
                return scene, problems


def _key(problem: Problem) -> tuple[str, frozenset[str]]:
    return problem.question, frozenset(problem.choices)
