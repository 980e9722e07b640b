"""Statistics of reasoning traces."""

import re
from dataclasses import dataclass

from harness.scoring.rewards import well_formed

_REFLECTION = re.compile(r"\b(?:aha|check|possibl|verify|wait|yet)", re.IGNORECASE)


@dataclass(frozen=True)
class TraceStatistics:
    """What can be counted in a completion; fields as in the ``traces`` table."""

    well_formed: bool
    thinking_words: int
    reflection_markers: int
    distinct_words_share: float | None


def thinking_part(text: str, prefill: str = "") -> str:
    """The reasoning: between ``<think>`` and ``</think>``, or up to ``<answer>`` or the end where tags are missing."""
    reply = prefill + text
    start = reply.find("<think>")
    body = reply[start + len("<think>") :] if start >= 0 else reply
    for tag in ("</think>", "<answer>"):
        body = body.split(tag, 1)[0]
    return body.strip()


def trace_statistics(text: str, prefill: str = "") -> TraceStatistics:
    """Count a completion's reasoning words, reflection markers (stems as in the paper's follow-up: aha, check,
    possibl, verify, wait, yet) and the share of its words that are distinct."""
    thinking = thinking_part(text, prefill)
    words = thinking.split()
    return TraceStatistics(
        well_formed=well_formed(text, prefill),
        thinking_words=len(words),
        reflection_markers=len(_REFLECTION.findall(thinking)),
        distinct_words_share=len(set(words)) / len(words) if words else None,
    )
