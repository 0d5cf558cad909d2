"""What a check's value must be: one comparison, perhaps a second one at the other level."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

Level = Literal["fail", "warn"]
Outcome = Literal["pass", "warn", "fail", "not_evaluated", "error"]

COMPARISONS = (
    "must_be",
    "must_not_be",
    "must_be_greater_than",
    "must_be_greater_than_or_equal",
    "must_be_less_than",
    "must_be_less_than_or_equal",
    "must_be_between",
    "must_be_not_between",
)
RANGES = ("must_be_between", "must_be_not_between")
LOWER_BOUNDS = ("greater_than", "greater_than_or_equal")
UPPER_BOUNDS = ("less_than", "less_than_or_equal")


@dataclass(frozen=True)
class Comparison:
    """`operator` is a word of COMPARISONS; `operand` a number, or the bounds of a range."""

    operator: str
    operand: float | Mapping[str, float]
    level: Level = "fail"

    def holds(self, value: float) -> bool:
        if isinstance(self.operand, Mapping):
            above = all(_compare(word, value, self.operand[word]) for word in self._lower)
            below = all(_compare(word, value, self.operand[word]) for word in self._upper)
            return (above and below) if self.operator == "must_be_between" else (above or below)
        word = self.operator.removeprefix("must_").removeprefix("be_")
        return _compare(word, value, self.operand)

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The lowest and the highest value that is expected, where the comparison has them."""
        if isinstance(self.operand, Mapping):
            if self.operator == "must_be_not_between":
                return None, None
            return self.operand[self._lower[0]], self.operand[self._upper[0]]
        if self.operator == "must_be":
            return self.operand, self.operand
        if "greater" in self.operator:
            return self.operand, None
        return (None, self.operand) if "less" in self.operator else (None, None)

    def moved(self, move: Callable[[float], float]) -> Comparison:
        if isinstance(self.operand, Mapping):
            bounds = {word: move(bound) for word, bound in self.operand.items()}
            return replace(self, operand=bounds)
        return replace(self, operand=move(self.operand))

    @property
    def _lower(self) -> list[str]:
        return [word for word in LOWER_BOUNDS if word in self._bounds]

    @property
    def _upper(self) -> list[str]:
        return [word for word in UPPER_BOUNDS if word in self._bounds]

    @property
    def _bounds(self) -> Mapping[str, float]:
        return self.operand if isinstance(self.operand, Mapping) else {}

    def __str__(self) -> str:
        if isinstance(self.operand, Mapping):
            words = [*self._lower, *self._upper]
            if self.operator == "must_be_not_between":
                words.reverse()
            joint = " and " if self.operator == "must_be_between" else " or "
            return "must be " + joint.join(_spoken(word, self.operand[word]) for word in words)
        if self.operator == "must_be":
            return f"must be {_number(self.operand)}"
        if self.operator == "must_not_be":
            return f"must not be {_number(self.operand)}"
        return "must be " + _spoken(self.operator.removeprefix("must_be_"), self.operand)


@dataclass(frozen=True)
class Threshold:
    first: Comparison
    second: Comparison | None = None
    percent: bool = False

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        return (self.first,) if self.second is None else (self.first, self.second)

    def judge(self, value: float | None) -> Outcome:
        """The worst level that the value breaches; no number is no evaluation."""
        if value is None or not math.isfinite(value):
            return "not_evaluated"
        breached = {each.level for each in self.comparisons if not each.holds(value)}
        return "fail" if "fail" in breached else "warn" if "warn" in breached else "pass"

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """Of the level that closes, else of the one that warns."""
        closing = [each for each in self.comparisons if each.level == "fail"]
        return (closing or list(self.comparisons))[0].limits

    def moved(self, move: Callable[[float], float]) -> Threshold:
        """The same comparisons, with other numbers: bounds of a change as bounds of a value."""
        second = self.second.moved(move) if self.second is not None else None
        return Threshold(self.first.moved(move), second)

    def breached(self, value: float) -> str:
        """The comparisons that this value does not meet, in words."""
        return " and ".join(str(each) for each in self.comparisons if not each.holds(value))

    def yaml(self) -> dict[str, Any]:
        """In Soda's words."""
        spelt: dict[str, Any] = {"metric": "percent"} if self.percent else {}
        spelt |= {"level": self.first.level, self.first.operator: _plain(self.first.operand)}
        if self.second is not None:
            spelt["additional"] = {
                "level": self.second.level,
                self.second.operator: _plain(self.second.operand),
            }
        return spelt

    def __str__(self) -> str:
        parts = [
            f"{each} (else a warning)" if each.level == "warn" else str(each)
            for each in self.comparisons
        ]
        return ", ".join(parts) + (", in percent" if self.percent else "")


MORE_THAN_ZERO = Threshold(Comparison("must_be_greater_than", 0))
ZERO = Threshold(Comparison("must_be", 0))


def _plain(operand: float | Mapping[str, float]) -> Any:
    return dict(operand) if isinstance(operand, Mapping) else operand


def _compare(word: str, value: float, bound: float) -> bool:
    match word:
        case "be":
            return value == bound
        case "not_be":
            return value != bound
        case "greater_than":
            return value > bound
        case "greater_than_or_equal":
            return value >= bound
        case "less_than":
            return value < bound
        case "less_than_or_equal":
            return value <= bound
    raise AssertionError(f"no such comparison: {word}")


def _spoken(word: str, bound: float) -> str:
    text = {
        "greater_than": "more than",
        "greater_than_or_equal": "at least",
        "less_than": "less than",
        "less_than_or_equal": "at most",
    }[word]
    return f"{text} {_number(bound)}"


def _number(value: float) -> str:
    return (
        f"{value:,.10g}".replace(",", " ")
        if isinstance(value, float)
        else f"{value:,}".replace(",", " ")
    )
