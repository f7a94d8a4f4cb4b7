"""Answers as the service sends them, one folder each: the raw body and its status.

Those whose name starts with ``documented-`` are copied from the documentation to the
byte; the others have the form that documents, official code or a gateway give it.
"""

from __future__ import annotations

import json
from pathlib import Path

from pictory_async._core.wire import Answer

_FOLDER = Path(__file__).parent

NAMES = tuple(sorted(path.parent.name for path in _FOLDER.glob("*/body")))


def sample(name: str) -> Answer:
    """Return the answer stored under *name*."""
    folder = _FOLDER / name
    facts = json.loads((folder / "answer.json").read_text("utf-8"))
    return Answer(
        status=facts["status"],
        body=(folder / "body").read_bytes(),
        retry_after=facts["retry_after"],
    )
