"""Prompt styles: how a question is put to a model. A style is a chat template that any model can be given; which
one is used is a setting of its own, never guessed from a model's name."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, get_args

from jinja2 import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from harness.data.question import Question
from harness.study.settings import PromptName

VISION = "<|vision_start|> <|image_pad|> <|vision_end|>"


@dataclass(frozen=True)
class PromptStyle:
    """A chat template with the wording of the question."""

    template: str
    """Jinja chat template over ``messages``: one user message whose content is an image and a text."""
    question: str
    """The user's text, with ``{question}`` and ``{options}``."""
    option_separator: str
    prefill: str = ""
    """What the prompt already holds of the reply: put in front of a completion before its format is judged."""

    def user_text(self, question: Question) -> str:
        """The question as the user's text."""
        return self.question.format(question=question.text, options=self.option_separator.join(question.choices))

    def messages(self, question: Question) -> list[dict[str, Any]]:
        """The question as a conversation of one message with an image placeholder."""
        content = [{"type": "image"}, {"type": "text", "text": self.user_text(question)}]
        return [{"role": "user", "content": content}]

    def render(self, question: Question) -> str:
        """The whole prompt as the processor will see it, image placeholder included."""
        return _compiled(self.template).render(messages=self.messages(question), add_generation_prompt=True)


@lru_cache
def _compiled(template: str) -> Template:
    # Rendered as transformers renders chat templates.
    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)


_CONTENT = (
    "{% for part in messages[0]['content'] %}{% if part['type'] == 'image' %}"
    + VISION
    + " {% else %}{{ part['text'] }} {% endif %}{% endfor %}"
)
_MICRO_QUESTION = "{question} ? options {options}"

PROMPT_STYLES: dict[PromptName, PromptStyle] = {
    "micro-base-think": PromptStyle(
        template="User : " + _CONTENT + "Assistant : Let me solve this step by step . <think>",
        question=_MICRO_QUESTION,
        option_separator=" or ",
        prefill="<think>",
    ),
    "micro-instruct-direct": PromptStyle(
        template="<|im_start|> user " + _CONTENT + "<|im_end|> <|im_start|> assistant",
        question=_MICRO_QUESTION,
        option_separator=" or ",
    ),
    "micro-instruct-think": PromptStyle(
        template="<|im_start|> user " + _CONTENT + "think first <|im_end|> <|im_start|> assistant",
        question=_MICRO_QUESTION,
        option_separator=" or ",
    ),
}
assert set(PROMPT_STYLES) == set(get_args(PromptName))
