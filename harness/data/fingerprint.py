"""What a training saw, in one number."""

import hashlib
import json
from collections.abc import Sequence

from harness.data.question import Question


def fingerprint(questions: Sequence[Question], order: Sequence[int]) -> str:
    """SHA-256 in hexadecimal over what is trained on and in which order: of every question in turn its text, its
    options as presented, its answer and its image's bytes.

    Args:
        questions: those that the order picks from.
        order: positions in ``questions``; each question is read and hashed once, however often it comes.
    """
    # In the file's order, so that each row group is read once.
    digests = {position: _digest(questions[position]) for position in sorted(set(order))}
    whole = hashlib.sha256()
    for position in order:
        whole.update(digests[position])
    return whole.hexdigest()


def _digest(question: Question) -> bytes:
    image = hashlib.sha256(question.image_bytes).hexdigest()
    content = [question.text, question.choices, question.answer, image]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).digest()
