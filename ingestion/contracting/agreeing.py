"""What is proposed, what runs, and what of the difference was agreed on."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from catalog.catalog import Catalog, load_catalog
from catalog.changes import base_of, files_at, said_of
from catalog.lineage import load_lineage
from ingestion.contracting.comparing import Difference, differences
from ingestion.contracting.promises import Promises, by_source, promises_of, read_promises
from ingestion.contracting.reach import Judged, judged
from ingestion.contracting.rules import Verdict, worst
from ingestion.contracts import contracts_dir
from warehouse.clock import wall_clock
from warehouse.errors import WRONG_USE, ContractError
from warehouse.settings import PROJECT_ROOT, Settings

# Says in a commit that those whom a break reaches know of it: `Breaks-contract: crm.leads`.
WORD: Final = "Breaks-contract"


@dataclass(frozen=True)
class Judgement:
    """Every difference, and the entities whose breaks were agreed on."""

    judged: tuple[Judged, ...]
    agreed: tuple[str, ...] = ()
    word: str = WORD

    @property
    def verdict(self) -> Verdict:
        return worst(tuple(each.difference.rule.verdict for each in self.judged))

    @property
    def breaking(self) -> tuple[Judged, ...]:
        """Those that nobody has agreed on."""
        return tuple(
            each
            for each in self.judged
            if each.difference.rule.verdict == "breaking"
            and each.difference.entity not in self.agreed
        )


def judge(
    settings: Settings,
    source: str | None = None,
    against: str | None = None,
    proposed: Path | None = None,
    *,
    catalog: Catalog | None = None,
) -> Judgement:
    """The proposed contracts (the working tree's) against those that run (at the base)."""
    place = proposed or contracts_dir(settings)
    other = Path(against) if against is not None and Path(against).exists() else None
    base = "" if other else base_of(against)
    before = read_promises(other) if other else _at(settings, base)
    after = read_promises(place)
    # One file speaks for its own sources only.
    if place.is_file():
        before = _of(before, by_source(after))
    if other and other.is_file():
        after = _of(after, by_source(before))
    if source is not None:
        if source not in {*by_source(before), *by_source(after)}:
            raise ContractError(
                f"There is no contract for the source {source}, neither before nor now.",
                remedy=f"There is one for {', '.join(sorted(by_source(after)))}.",
                exit_code=WRONG_USE,
            )
        before, after = _of(before, [source]), _of(after, [source])
    found = differences(before, after, wall_clock().date())
    agreed = tuple(each.split()[0] for each in said_of(base, WORD)) if base else ()
    return Judgement(_reaching(settings, found, catalog), agreed)


def _reaching(
    settings: Settings, found: tuple[Difference, ...], catalog: Catalog | None
) -> tuple[Judged, ...]:
    if not found:
        return ()
    catalog = catalog or load_catalog(settings)
    # Compiling takes seconds: only what speaks of a column that is here needs it.
    if any(f"raw.{each.entity}" in catalog.datasets and each.column for each in found):
        return judged(catalog, load_lineage(settings, catalog), found)
    return judged(catalog, {}, found)


def _at(settings: Settings, commit: str) -> Promises:
    folder = contracts_dir(settings)
    if not folder.is_relative_to(PROJECT_ROOT):
        raise ContractError(
            f"{folder} is not in this repository: what runs is not known.",
            remedy="Name a file or folder to compare with: --against <path>.",
        )
    return promises_of(files_at(commit, str(folder.relative_to(PROJECT_ROOT))))


def _of(promises: Promises, sources: Container[str]) -> Promises:
    return {name: each for name, each in promises.items() if each.contract.source in sources}
