"""Growing columns: one entry per account, user, lead or document, by its number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ingestion.simulator.scale import Array, Ints

Layout = Mapping[str, tuple[str, int | float | bool]]


class Roll:
    """Columns that grow together. A column's view stays valid until the next growth."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._columns: dict[str, Array] = {
            name: np.empty(0, dtype) for name, (dtype, _) in layout.items()
        }
        self.count = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, name: str) -> Array:
        return self._columns[name][: self.count]

    def append(self, n: int, **values: Array | float) -> Ints:
        """Add n entries (columns not named get their default); returns their numbers."""
        first = self.count
        self.grow_to(first + n)
        for name, value in values.items():
            self._columns[name][first : first + n] = value
        return np.arange(first, first + n)

    def grow_to(self, count: int) -> None:
        if count <= self.count:
            return
        capacity = len(next(iter(self._columns.values())))
        for name, (dtype, default) in self._layout.items():
            if count > capacity:
                bigger = np.empty(max(count, capacity * 2, 64), dtype)
                bigger[: self.count] = self._columns[name][: self.count]
                self._columns[name] = bigger
            self._columns[name][self.count : count] = default
        self.count = count

    def keep(self, mask: Array) -> None:
        """Forget the entries outside the mask (for logs; numbers shift)."""
        for name, column in self._columns.items():
            self._columns[name] = column[: self.count][mask]
        self.count = int(np.count_nonzero(mask))

    def dump(self) -> dict[str, Array]:
        return {name: self[name] for name in self._columns}

    def load(self, columns: Mapping[str, Array]) -> None:
        self._columns = {name: np.array(columns[name]) for name in self._layout}
        self.count = len(next(iter(self._columns.values())))
