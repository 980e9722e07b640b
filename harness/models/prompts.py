"""Prompt styles: how a question is put to a model. A style is a chat template that any model can be given; which
one is used is a setting of its own, never guessed from a model's name."""

import hashlib
import json
from dataclasses import asdict, dataclass
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
    """The user's text, with ``{question}`` and ``{options}``, or with ``{prompt}``: both as the data set has them."""
    option_separator: str = " or "
    """Between the options in ``{options}``."""
    prefill: str = ""
    """What the prompt already holds of the reply: put in front of a completion before its format is judged."""
    reply_form: str = "{reply}{end}"
    """What follows the prompt in supervised data."""
    end: str | None = None
    """Token that ends a reply under this template; the tokenizer's end token where the template has none of its own."""
    literal: str = "<image>"
    """What ``literal_image`` puts before the user's text."""

    def user_text(self, question: Question, literal_image: bool = False) -> str:
        """The question as the user's text.

        Args:
            question: what is asked.
            literal_image: put the word ``<image>`` between the image and the text, as the paper's scripts do.
        """
        options = self.option_separator.join(question.choices)
        text = self.question.format(question=question.text, options=options, prompt=question.prompt)
        return self.literal + text if literal_image else text

    def messages(self, question: Question, literal_image: bool = False) -> list[dict[str, Any]]:
        """The question as a conversation of one message with an image placeholder."""
        text = {"type": "text", "text": self.user_text(question, literal_image)}
        return [{"role": "user", "content": [{"type": "image"}, text]}]

    def render(self, question: Question, literal_image: bool = False) -> str:
        """The whole prompt as the processor will see it, image placeholder included."""
        messages = self.messages(question, literal_image)
        return _compiled(self.template).render(messages=messages, add_generation_prompt=True)

    def reply(self, text: str, end: str) -> str:
        """What follows the prompt in supervised data: the reply and its end token.

        Args:
            text: the reply.
            end: the tokenizer's end token; empty leaves the reply without an end.
        """
        return self.reply_form.format(reply=text, end=(self.end or end) if end else "")

    @property
    def hash(self) -> str:
        """12 hex digits over template and wording."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


@lru_cache
def _compiled(template: str) -> Template:
    # Rendered as transformers renders chat templates.
    return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)


_MICRO_CONTENT = (
    "{% for part in messages[0]['content'] %}{% if part['type'] == 'image' %}"
    + VISION
    + " {% else %}{{ part['text'] }} {% endif %}{% endfor %}"
)


def _micro(template: str, prefill: str = "") -> PromptStyle:
    """A style of the miniature world, whose words all stand between spaces."""
    return PromptStyle(
        template=template,
        question="{question} ? options {options}",
        prefill=prefill,
        reply_form=" {reply} {end}",
        literal="<image> ",
    )


_CONTENT = (
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
)
RAW = "{% for message in messages %}" + _CONTENT + "{% endfor %}"
"""Contents one after the other, without roles: what the paper's base model sees."""
CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n" + _CONTENT + "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""What Qwen2-VL-Instruct was tuned with."""


def _chatml(question: str) -> PromptStyle:
    """A turn of a conversation. It ends with ``<|im_end|>`` for a base model too, whose tokenizer ends otherwise."""
    return PromptStyle(CHATML, question, end="<|im_end|>")


_CONVERSATION = (
    "A conversation between User and Assistant. The user asks a question about the image, and the Assistant solves it."
)
_THINK_FIRST = (
    " The assistant first thinks about the reasoning process in the mind and then provides the user with the answer."
)

PROMPT_STYLES: dict[PromptName, PromptStyle] = {
    "micro-base-think": _micro(
        "User : " + _MICRO_CONTENT + "Assistant : Let me solve this step by step . <think>", prefill="<think>"
    ),
    "micro-instruct-direct": _micro("<|im_start|> user " + _MICRO_CONTENT + "<|im_end|> <|im_start|> assistant"),
    "micro-instruct-think": _micro(
        "<|im_start|> user " + _MICRO_CONTENT + "think first <|im_end|> <|im_start|> assistant"
    ),
    # The paper's, byte for byte as its released scripts have them: odd spaces are theirs.
    "paper-base-think": PromptStyle(
        RAW,
        _CONVERSATION + _THINK_FIRST + "\nUser: {prompt} \nAssistant: Let me solve this step by step.\n<think>",
        prefill="<think>",
    ),
    "paper-base-plain": PromptStyle(RAW, _CONVERSATION + "\nUser: {prompt} \nAssistant: "),
    "paper-instruct-think": _chatml(
        "{prompt}  Output the thinking process in <think> </think> "
        "and final answer (option) in <answer> </answer> tags.",
    ),
    "paper-instruct-think-eval": _chatml(
        "{prompt}\nOutput the thinking process in <think> </think> and final answer in <answer> </answer> tags.",
    ),
    "paper-instruct-plain": _chatml("{prompt}"),
    # A control of ours: the wanted form without the thinking.
    "instruct-no-think": _chatml(
        "{prompt}\nGive the final answer (option) in <answer> </answer> tags and nothing else."
    ),
}
assert set(PROMPT_STYLES) == set(get_args(PromptName))
