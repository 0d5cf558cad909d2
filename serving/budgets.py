"""Error budgets as they were last published: here, or in a file that another machine can read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import fsspec

from serving.published import open_published
from warehouse.connection import NO_SUCH_TABLE
from warehouse.errors import SettingsError
from warehouse.settings import Settings
from warehouse.snapshots import current_id

TABLE = "platform_error_budgets"
FILE = "error_budgets.json"
FIELDS = ("dataset_key", "indicator", "owner", "tier", "objective", "attained", "spent_share")


@dataclass(frozen=True)
class Budget:
    dataset_key: str
    indicator: str
    owner: str
    tier: int
    objective: float
    attained: float | None
    spent_share: float | None
    is_spent: bool

    def __str__(self) -> str:
        kept = "?" if self.attained is None else f"{self.attained:.2%}"
        return f"{self.indicator} {kept}, promised {self.objective:.2%}"


def budgets(settings: Settings) -> Sequence[Budget] | None:
    """None where nobody knows: nothing was published, or no file of budgets is there."""
    if settings.error_budgets:
        return _from_file(settings.error_budgets)
    if current_id(settings) is None:
        return None
    connection = open_published(settings)
    try:
        rows = connection.execute(
            f"select {', '.join(FIELDS)}, is_spent from {TABLE} order by 1, 2"
        ).fetchall()
    except NO_SUCH_TABLE:
        return None
    finally:
        connection.close()
    return [Budget(*row) for row in rows]


def export(settings: Settings) -> None:
    """Beside the snapshots, for those who have no access to them (continuous integration)."""
    found = budgets(settings)
    if found is None or settings.error_budgets:
        return
    path = settings.published_dir / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps([asdict(each) for each in found], indent=1))
    aside.replace(path)


def spent(found: Sequence[Budget]) -> Mapping[str, tuple[Budget, ...]]:
    """By tier-1 dataset, the promises whose budget is used up."""
    by_key: dict[str, tuple[Budget, ...]] = {}
    for each in found:
        if each.tier == 1 and each.is_spent:
            by_key[each.dataset_key] = (*by_key.get(each.dataset_key, ()), each)
    return by_key


def _from_file(place: str) -> Sequence[Budget]:
    try:
        with fsspec.open(place, "rt") as file:
            told: list[dict[str, Any]] = json.load(file)
        return [Budget(**each) for each in told]
    except (OSError, ValueError, TypeError) as error:
        raise SettingsError(
            f"SLUICE_ERROR_BUDGETS cannot be read: {place}: {error}",
            remedy=f"Each publish writes it as {FILE} beside the snapshots; name that file.",
        ) from error
