"""What a value should be, learnt from what it was: medians, so that one bad day teaches nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from quality.thresholds import Comparison, Threshold

WEEK = 7
WEEKS_OF_A_PATTERN = 4
"""From so many weeks on, each weekday is compared with its own kind."""
MAD_TO_DEVIATION = 1.4826
"""Of normal data; the median distance becomes comparable with a standard deviation."""
BARS = "▁▂▃▄▅▆▇█"
LONGEST_PLOT = 14


@dataclass(frozen=True)
class Usual:
    """Where a value usually is, and how far it usually is from there."""

    centre: float
    spread: float
    slack: float = 0.0
    """A difference up to this is never remarkable."""

    def around(self, threshold: Threshold) -> Threshold:
        """A threshold in spreads as bounds of the value itself."""

        def bounds(comparison: Comparison) -> Comparison:
            assert not isinstance(comparison.operand, Mapping)
            away = max(comparison.operand * self.spread, self.slack)
            range_ = {
                "greater_than_or_equal": self.centre - away,
                "less_than_or_equal": self.centre + away,
            }
            return Comparison("must_be_between", range_, comparison.level)

        second = threshold.second
        return Threshold(bounds(threshold.first), bounds(second) if second is not None else None)


def usual(
    history: Mapping[date, float],
    day: date,
    *,
    is_count: bool = False,
    absolute: float = 0.0,
    percent: float = 0.0,
) -> Usual:
    """Of a day, from the days before it.

    Once there are some weeks, each weekday has a place of its own, and all of them follow the
    level of the last week: a company that grows is not an anomaly every month.
    """
    centres = _by_weekday(history)
    level = _level(history, centres)
    centres = {weekday: level * each for weekday, each in centres.items()}
    centre = centres.get(day.weekday(), median(history.values()))
    residuals = [abs(value - centres.get(on.weekday(), centre)) for on, value in history.items()]
    spread = MAD_TO_DEVIATION * median(residuals)
    if is_count:
        # Counts of independent things vary by their square root, however steady they seem.
        spread = max(spread, max(centre, 1.0) ** 0.5)
    return Usual(centre, spread, max(absolute, abs(centre) * percent / 100))


def _by_weekday(history: Mapping[date, float]) -> dict[int, float]:
    days: dict[int, list[float]] = {}
    for on, value in history.items():
        days.setdefault(on.weekday(), []).append(value)
    if len(days) < WEEK or min(map(len, days.values())) < WEEKS_OF_A_PATTERN:
        return {}
    return {weekday: median(values) for weekday, values in days.items()}


def _level(history: Mapping[date, float], centres: Mapping[int, float]) -> float:
    """The last week beside the whole: its middle day, so that a bad one does not move it."""
    last = sorted(history.items())[-WEEK:]
    beside = [value / at for on, value in last if (at := centres.get(on.weekday(), 0.0)) > 0]
    return median(beside) if beside else 1.0


def plot(values: Sequence[float]) -> str:
    """The last values as bars, from the lowest to the highest of them."""
    last = list(values)[-LONGEST_PLOT:]
    if len(last) < 2:
        return ""
    low, high = min(last), max(last)
    if high == low:
        return BARS[3] * len(last)
    return "".join(BARS[round((each - low) / (high - low) * (len(BARS) - 1))] for each in last)
