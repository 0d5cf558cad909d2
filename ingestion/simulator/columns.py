"""Columns of the books: dates, names and exact sums from the ledger's numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ingestion.simulator.lines import Block, text
from ingestion.simulator.scale import Array, Ints, dates, month_start, week_start


def texts(block: Block) -> pa.Array:
    if not len(block):
        return pa.array([], pa.string())
    joined = text(np.concatenate([block, np.full((len(block), 1), 10, np.uint8)], axis=1))
    return pa.array(joined.decode().split("\n")[:-1], pa.string())


def named(values: list[str], codes: Array) -> pa.Array:
    return pa.array(np.array(values, object)[codes], pa.string())


def days_on(days: Array) -> pa.Array:
    return pa.array(dates(np.asarray(days, np.int64)), pa.date32())


def months_on(months: Array) -> pa.Array:
    starts = {month: month_start(month) for month in np.unique(months).tolist()}
    return days_on(np.array([starts[month] for month in months.tolist()], np.int64))


def weeks_on(weeks: Array) -> pa.Array:
    return days_on(np.array([week_start(week) for week in weeks.tolist()], np.int64))


def sums(keys: Array, values: Array, size: int) -> Ints:
    """Exact integer sums by key."""
    result = np.zeros(size, np.int64)
    np.add.at(result, keys, values)
    return result
