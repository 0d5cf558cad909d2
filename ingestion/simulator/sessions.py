"""Active users and sessions, counted from the activity of single users."""

from __future__ import annotations

import numpy as np

from ingestion.simulator.scale import MINUTE_MS, Array, day_of

SESSION_GAP = 30 * MINUTE_MS


def active_counts(days: Array, age: int) -> tuple[int, int, int]:
    """Users active within 1, 7 and 28 days up to the day of that age."""
    seen = days >> np.uint64(age)
    counts = [int(np.count_nonzero(seen & np.uint64((1 << length) - 1))) for length in (1, 7, 28)]
    return counts[0], counts[1], counts[2]


def add_sessions(
    user: Array, at: Array, last_at: Array, session_day: Array, sessions: Array,
    session_events: Array,
) -> None:  # fmt: skip
    """Count these events, which follow all that were counted before, into sessions."""
    if not len(user):
        return
    begin = int(at.min())
    order = np.argsort((user.astype(np.int64) << 40) | (at - begin))
    user, at = user[order], at[order]
    first = np.ones(len(user), bool)
    first[1:] = user[1:] != user[:-1]
    before = np.empty_like(at)
    before[1:] = at[:-1]
    before[first] = last_at[user[first]]
    starts = at - before > SESSION_GAP
    on = day_of(at)
    # The session an event belongs to is its user's latest start; else the one carried on.
    marker = np.where(starts, np.arange(len(user)), np.where(first, -1, 0))
    known = starts | first
    position = np.maximum.accumulate(np.where(known, np.arange(len(user)), 0))
    carried = marker[position] < 0
    belongs = np.where(carried, session_day[user], on[position])
    sessions += np.bincount(on[starts], minlength=len(sessions))[: len(sessions)]
    session_events += np.bincount(belongs, minlength=len(sessions))[: len(sessions)]
    last = np.append(first[1:], True)
    last_at[user[last]] = at[last]
    session_day[user[last]] = belongs[last]
