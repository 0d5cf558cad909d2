"""Chance, one stream per domain and day: a span of days equals its single days."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from ingestion.simulator.scale import DAY_MS, HOUR_MS, Array, Ints, day_start


class Domain(IntEnum):
    RATES = 1
    LEADS = 2
    ACCOUNTS = 3
    BILLING = 4
    PEOPLE = 5
    CHANGES = 6
    PRODUCT = 7
    SPEND = 8
    DELIVERY = 100


def stream(seed: int, domain: int, day: int) -> np.random.Generator:
    return np.random.default_rng([seed, domain, day])


def happens(rng: np.random.Generator, n: int, probability: float | Array) -> Array:
    """Which of n chances come true."""
    return rng.random(n) < probability


def pick(rng: np.random.Generator, n: int, weights: Array) -> Ints:
    cumulative = np.cumsum(weights)
    picked: Ints = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    return picked


def between(
    rng: np.random.Generator, day: int, n: int, first_hour: float, last_hour: float
) -> Ints:
    """Instants of a day, evenly between two hours."""
    low, high = int(first_hour * HOUR_MS), int(last_hour * HOUR_MS)
    if not 0 <= low < high <= DAY_MS:
        raise ValueError(f"hours {first_hour} to {last_hour} do not lie within a day")
    return day_start(day) + rng.integers(low, high, n)
