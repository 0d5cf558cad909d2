"""What lies in landing, held against the contracts: a folder that none names is never loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warehouse.settings import Settings


@dataclass(frozen=True)
class Folders:
    """`strange` are those that no contract names, of a source or of an entity within one."""

    sources: tuple[str, ...]
    strange: tuple[str, ...]
    known: frozenset[str]


def folders(settings: Settings) -> Folders | None:
    """None where nothing has landed."""
    import fsspec

    from ingestion.contracts import read_contracts

    filesystem, root = fsspec.core.url_to_fs(settings.landing_url)
    if not filesystem.exists(root):
        return None

    def within(folder: str) -> set[str]:
        names = {Path(each).name for each in filesystem.ls(folder, detail=False)}
        return {each for each in names if not each.startswith(("_", "."))}

    contracts = read_contracts(settings)
    there = within(root)
    sources = tuple(sorted(there & set(contracts)))
    landed = {f"{source}/{each}" for source in sources for each in within(f"{root}/{source}")}
    entities = {f"{source}/{each}" for source, held in contracts.items() for each in held}
    strange = sorted((there - set(contracts)) | (landed - entities))
    return Folders(sources, tuple(strange), frozenset({*contracts, *entities}))
