"""What a scoring rule reads off a completion."""

from dataclasses import dataclass
from typing import Literal

Finish = Literal["stop", "length"]
Status = Literal["ok", "no_tag", "no_option", "ambiguous", "truncated", "empty"]

OPENING, CLOSING = "<answer>", "</answer>"


@dataclass(frozen=True)
class Reading:
    """What a rule read off a completion."""

    extracted: str | None
    """Text of the option that the completion names; None when it names none, or several."""
    status: Status
    """ok; no_tag: no tag and (lenient, authors) no option; no_option: a tag that names none; ambiguous: several tags
    (strict) or several options (authors); truncated: like no_tag, at the token limit; empty: white space alone."""
    accepted: tuple[str, ...] = ()
    """All options that the rule would call right where it is satisfied with several; empty otherwise."""

    def correct(self, answer: str) -> bool:
        """Whether the rule calls the completion right when ``answer`` is the correct option's text."""
        return answer == self.extracted or answer in self.accepted


def nothing_found(finish: Finish) -> Status:
    """Status of a completion without a tag that names nothing."""
    return "truncated" if finish == "length" else "no_tag"
