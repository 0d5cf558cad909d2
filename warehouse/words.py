"""Words: how many of them, and which one somebody who mistyped it may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

ALIKE = 0.6
NEARLY = 0.9


def counted(count: int, word: str) -> str:
    """`1 file`, `1,204 files`."""
    return f"{count:,} {word if count == 1 else f'{word}s'}"


def sentence(text: str) -> str:
    """A question ends in its own mark."""
    return text if text.endswith(("?", ".")) else f"{text}."


def some(names: Sequence[str], most: int) -> str:
    """The first of them, and how many there are besides."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def nearest(word: str, known: Iterable[str], count: int = 1, *, least: float = ALIKE) -> list[str]:
    """The known words that are spelled most like this one, the likeliest first."""
    spelled = {each.lower(): each for each in sorted(known)}
    near = difflib.get_close_matches(word.lower(), spelled, n=count, cutoff=least)
    # Beside one that is nearly the same word, others that are far off only distract.
    near_enough = NEARLY * _likeness(word, near[0]) if near else 0
    return [spelled[each] for each in near if _likeness(word, each) >= near_enough]


def _likeness(word: str, known: str) -> float:
    return difflib.SequenceMatcher(None, known, word.lower()).ratio()


def did_you_mean(word: str, known: Iterable[str], count: int = 1) -> str:
    """A sentence to follow another, or nothing."""
    near = nearest(word, known, count)
    return f" Did you mean {' or '.join(near)}?" if near else ""
