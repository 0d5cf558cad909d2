"""Words that people mistype, and which they may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ALIKE = 0.6


def nearest(word: str, known: Iterable[str], count: int = 1) -> list[str]:
    """The known words that are spelled most like this one, the likeliest first."""
    spelled = {each.lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(word.lower(), spelled, n=count, cutoff=ALIKE)
    return [spelled[each] for each in near]


def did_you_mean(word: str, known: Iterable[str], count: int = 1) -> str:
    """A sentence to follow another, or nothing."""
    near = nearest(word, known, count)
    return f" Did you mean {' or '.join(near)}?" if near else ""
