"""The documents that the miniature base model is pretrained on.

Like the paper's base model it comes out knowing (facts are read off the image, answers follow from a stated fact)
but not doing: it can't answer directly and rarely writes the wanted format. Ability sits in the thought, noise in
the choice of the thought and in the format.
"""

import random

from harness.data.world import (
    SCENE_TYPE,
    TASKS,
    Problem,
    Scene,
    ask,
    count_fact,
    distance_fact,
    place_fact,
    sample,
)

END = "<|im_end|>"
FACTS_SHARE = 0.40
WORKED_SHARE = 0.35
RELEVANT_THOUGHT_SHARE = 0.5
EMPTY_THOUGHT = "look at the image ."


def random_fact(scene: Scene, rng: random.Random) -> str:
    """A true statement about a scene, of a random kind that the scene allows."""
    things = scene.unique()
    for _ in range(9):
        kinds = ("count", "col", "row") if scene.type == "2D" else ("row", "far", "far", "far", "col")
        kind = rng.choice(kinds)
        if kind == "count":
            problem = ask(scene, "Count", rng)
            assert problem is not None
            return problem.fact
        if kind in ("row", "col") and len(things) >= 2:
            a, b = rng.sample(things, 2)
            return place_fact(kind, a, b)
        if kind == "far" and len(things) >= 3:
            anchor, a, b = rng.sample(things, 3)
            return distance_fact(anchor, a, b)
    return count_fact(scene, scene.things[0].color)


def document(
    rng: random.Random,
    image: str,
    plain_question: str,
    think_question: str,
    scene: Scene,
    problem: Problem,
    well_formed_share: float,
    empty_thought_share: float,
) -> str:
    """One document about a scene.

    Args:
        rng: its random stream.
        image: the image placeholder's text.
        plain_question: the question with its options.
        think_question: the question rendered in the base model's think prompt.
        scene, problem: what is shown and asked.
        well_formed_share: share of think-prompt documents that state a fact and end in the wanted format.
        empty_thought_share: share of them with a well-formed empty thought and a random answer.
    """
    kind = rng.random()
    if kind < FACTS_SHARE:
        return " ".join([image, *(random_fact(scene, rng) for _ in range(5)), END])
    if kind < FACTS_SHARE + WORKED_SHARE:
        return f"{image} {plain_question} . {problem.fact} so {problem.answer} . {END}"
    if rng.random() < RELEVANT_THOUGHT_SHARE:
        thought, answer = problem.fact, problem.answer
    else:
        thought = " ".join(random_fact(scene, rng) for _ in range(rng.choice([1, 2])))
        answer = rng.choice(problem.choices)
    ending = rng.random()
    if ending < well_formed_share:
        text = f"{thought} </think> <answer> {answer} </answer>"
    elif ending >= 1 - empty_thought_share:
        text = f"{EMPTY_THOUGHT} </think> <answer> {rng.choice(problem.choices)} </answer>"
    else:  # the rest in fixed proportions
        rest = (ending - well_formed_share) / (1 - well_formed_share - empty_thought_share)
        if rest < 0.345:
            text = f"{thought} so {answer} ."
        elif rest < 0.575:
            text = f"{thought} </think> {answer} ."
        elif rest < 0.747:
            text = f"{thought} {random_fact(scene, rng)} {random_fact(scene, rng)}"
        else:
            text = f"{thought} wait check again . {random_fact(scene, rng)} so {answer} ."
    return f"{think_question} {text} {END}"


def random_problem(rng: random.Random) -> tuple[Scene, Problem]:
    """A scene with one question of a random task."""
    scene, (problem,) = sample(rng, rng.choice(TASKS))
    return scene, problem


def random_scene_type(rng: random.Random) -> str:
    return rng.choice(sorted(set(SCENE_TYPE.values())))
