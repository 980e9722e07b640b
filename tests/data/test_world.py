import random
from collections import Counter
from itertools import pairwise

import grid_oracle
import pytest

from harness.data.world import (
    COLORS,
    IMAGE_SIZE,
    SCENE_TYPE,
    SCENES_PER_SPLIT,
    SPLITS,
    TASKS,
    ask,
    draw_scene,
    render,
    sample,
    scene_rng,
    scene_seed,
)

SCENES = 150


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_what_the_picture_shows(task: str) -> None:
    asked = Counter()
    for index in range(SCENES):
        scene, (problem,) = sample(scene_rng("test", index), task)
        grid = grid_oracle.read_grid(render(scene))
        assert grid == {(thing.row, thing.column): thing.color for thing in scene.things}
        assert problem.answer == grid_oracle.answer(grid, problem.question, problem.choices)
        assert problem.answer in problem.choices
        assert len(set(problem.choices)) == len(problem.choices) == (3 if task == "Count" else 2)
        assert grid_oracle.FACT.fullmatch(problem.fact), problem.fact
        assert grid_oracle.is_true(grid, problem.fact)
        assert problem.task == task
        assert scene.type == SCENE_TYPE[task]
        asked[problem.answer] += 1
    assert len(asked) >= 4, "the answers hardly vary"


@pytest.mark.parametrize("task", TASKS)
def test_the_right_option_stands_anywhere(task: str) -> None:
    rng = random.Random(0)
    positions: Counter[int] = Counter()
    for _ in range(1000):
        _, (problem,) = sample(rng, task)
        positions[problem.choices.index(problem.answer)] += 1
    expected = 1000 / (3 if task == "Count" else 2)
    assert all(abs(count - expected) < 4.5 * expected**0.5 for count in positions.values()), positions


def test_two_questions_of_a_scene_differ() -> None:
    for index in range(50):
        for task in ("Relation", "Depth", "Distance"):
            _, (first, second) = sample(scene_rng("test", index), task, 2)
            assert (first.question, set(first.choices)) != (second.question, set(second.choices))


@pytest.mark.parametrize("scene_type", ["2D", "3D"])
def test_a_thing_shows_its_colour_at_its_centre(scene_type: str) -> None:
    for index in range(200):
        scene = draw_scene(scene_rng("train", index), scene_type)
        image = render(scene)
        assert image.size == (IMAGE_SIZE, IMAGE_SIZE)
        assert image.mode == "RGB"
        for thing in scene.things:
            assert image.getpixel((round(thing.x), round(thing.y))) == COLORS[thing.color]
        assert len({(thing.row, thing.column) for thing in scene.things}) == len(scene.things)


def test_in_depth_nearer_is_lower_and_larger() -> None:
    for index in range(100):
        scene = draw_scene(scene_rng("train", index), "3D")
        by_row = sorted(scene.things, key=lambda thing: thing.row)
        for far, near in pairwise(by_row):
            if far.row < near.row:
                assert far.y < near.y
                assert far.radius < near.radius


def test_a_colour_that_occurs_twice_names_no_thing() -> None:
    repeated = 0
    for index in range(300):
        scene = draw_scene(scene_rng("train", index), "2D")
        problem = ask(scene, "Relation", random.Random(index))
        colors = [thing.color for thing in scene.things]
        repeated += len(set(colors)) < len(colors)
        if problem:
            named = [word for word in problem.question.split() if word in COLORS]
            assert all(colors.count(color) == 1 for color in named)
    assert repeated > 50


def test_scenes_are_functions_of_split_and_index() -> None:
    for split in SPLITS:
        first = sample(scene_rng(split, 7), "Distance", 2)
        assert sample(scene_rng(split, 7), "Distance", 2) == first
        assert sample(scene_rng(split, 8), "Distance", 2) != first


def test_splits_own_disjoint_seeds() -> None:
    ranges = sorted((scene_seed(split, 0), scene_seed(split, SCENES_PER_SPLIT - 1)) for split in SPLITS)
    assert len(ranges) == 3
    for (low, high), (next_low, _) in pairwise(ranges):
        assert low < high < next_low
    scenes = [draw_scene(scene_rng(split, index), "2D") for split in SPLITS for index in range(100)]
    assert len(set(scenes)) == 300


def test_a_seed_outside_the_split_is_refused() -> None:
    for index in (-1, SCENES_PER_SPLIT):
        with pytest.raises(ValueError, match=f"scene index {index} is outside 0..{SCENES_PER_SPLIT - 1}"):
            scene_seed("train", index)
    with pytest.raises(ValueError, match="'validation' is unknown; there are pretrain, train, test"):
        scene_seed("validation", 0)
