import random
import re

import grid_oracle
import pytest

from harness.data.documents import EMPTY_THOUGHT, random_problem
from harness.data.question import Question
from harness.data.world import Problem, Scene, scene_rng
from harness.models.micro import build_tokenizer
from harness.models.prompts import PROMPT_STYLES
from harness.scoring.rewards import well_formed
from harness.study.sources import PretrainSettings
from harness.train.pretrain import _document

DOCUMENTS = 4000
THINK = "Assistant : Let me solve this step by step . <think>"
END = " <|im_end|>"


@pytest.fixture(scope="module")
def documents() -> list[tuple[Scene, Problem, str]]:
    """Documents as pretraining draws them, each with its scene and question."""
    found = []
    for index in range(DOCUMENTS):
        rng = scene_rng("pretrain", index)
        scene, problem = random_problem(rng)
        found.append((scene, problem, _document(rng, scene, problem, PretrainSettings())))
    return found


def thoughts(documents: list[tuple[Scene, Problem, str]]) -> list[tuple[Problem, str]]:
    """What follows the think prompt."""
    return [(problem, text.split(THINK + " ")[1].removesuffix(END)) for _, problem, text in documents if THINK in text]


def assert_share(count: int, of: int, share: float) -> None:
    """The count is within 4.5 standard deviations of a binomial's mean."""
    assert abs(count - of * share) < 4.5 * (of * share * (1 - share)) ** 0.5, f"{count} of {of}, not {share:.1%}"


def test_shares_of_the_kinds(documents: list[tuple[Scene, Problem, str]]) -> None:
    assert_share(sum(" ? options " not in text for _, _, text in documents), DOCUMENTS, 0.40)
    worked = [text for _, _, text in documents if " ? options " in text and THINK not in text]
    assert_share(len(worked), DOCUMENTS, 0.35)


def test_shares_of_well_formed_and_of_empty_thoughts(documents: list[tuple[Scene, Problem, str]]) -> None:
    """The collapse of GRPO hangs on the empty share, what it can learn on the other."""
    replies = thoughts(documents)
    formed = [text for _, text in replies if well_formed(" " + text, "<think>")]
    empty = [text for text in formed if text.startswith(EMPTY_THOUGHT)]
    assert_share(len(empty), len(replies), PretrainSettings().empty_thought_share)
    assert_share(len(formed) - len(empty), len(replies), PretrainSettings().well_formed_share)
    assert_share(sum("<answer>" in text for _, text in replies), len(replies), 0.13)


def test_every_stated_fact_is_true(documents: list[tuple[Scene, Problem, str]]) -> None:
    facts = 0
    for scene, _, text in documents:
        grid = {(thing.row, thing.column): thing.color for thing in scene.things}
        for fact in grid_oracle.FACT.findall(text):
            assert grid_oracle.is_true(grid, fact), (fact, grid)
            facts += 1
    assert facts > 2 * DOCUMENTS


def test_worked_answers_are_right(documents: list[tuple[Scene, Problem, str]]) -> None:
    for _, problem, text in documents:
        if " ? options " in text and THINK not in text:
            assert text.endswith(f"{problem.fact} so {problem.answer} .{END}")


def test_in_thoughts_the_answer_is_right_after_the_right_fact(documents: list[tuple[Scene, Problem, str]]) -> None:
    given = re.compile(r"(?:so|<answer>|</think>) (\S+) (?:\.|</answer>)$")
    right = wrong = relevant = 0
    for problem, text in thoughts(documents):
        match = given.search(text)
        if not match or EMPTY_THOUGHT in text:
            continue
        assert match[1] in problem.choices
        if text.startswith(problem.fact):
            relevant += 1
            right += match[1] == problem.answer
        else:
            wrong += match[1] != problem.answer
    assert right > 0.85 * relevant > 100  # a random thought may open with the right fact, and answers at random
    assert wrong > 100


def test_every_word_is_in_the_vocabulary(documents: list[tuple[Scene, Problem, str]]) -> None:
    tokenizer = build_tokenizer()
    vocabulary = set(tokenizer.get_vocab())
    assert {word for _, _, text in documents for word in text.split()} <= vocabulary
    questions = [Question(0, p.question, p.choices, p.answer, b"", p.task, "", "", "") for _, p, _ in documents]
    for style in (each for name, each in PROMPT_STYLES.items() if name.startswith("micro-")):
        for question in questions:
            assert tokenizer.unk_token_id not in tokenizer(style.render(question))["input_ids"]
            assert question.answer in vocabulary


def test_a_document_is_a_function_of_its_stream() -> None:
    problem_and_texts = []
    for _ in range(2):
        rng = random.Random(3)
        scene, problem = random_problem(rng)
        problem_and_texts.append((problem, _document(rng, scene, problem, PretrainSettings())))
    assert problem_and_texts[0] == problem_and_texts[1]
