"""A developer's build: the chosen models here, on parents that production publishes.

Nothing of it is published, and the gates of what was built stand shut until a run has built and
checked it: what it was built from is somebody else's state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.catalog import BUILT_LAYERS, Catalog, Dataset, load_catalog
from orchestration.running import chosen_datasets
from quality import gate
from warehouse import dbt, production, structure, workshop
from warehouse.connection import Connection, named
from warehouse.errors import SettingsError, SluiceError
from warehouse.production import Fetched
from warehouse.settings import Settings

SHOWN_ROWS = 5


@dataclass(frozen=True)
class Tried:
    """What a build has made of one model."""

    key: str
    status: str
    rows: int | None
    seconds: float
    message: str
    columns: tuple[str, ...] = ()
    first_rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True)
class Trial:
    """A build, and what it read of production."""

    models: tuple[Tried, ...]
    failed_tests: tuple[str, ...]
    test_count: int
    snapshot: production.Snapshot | None
    fetched: tuple[Fetched, ...]

    @property
    def success(self) -> bool:
        return not self.failed_tests and all(each.status == "success" for each in self.models)


def develop(settings: Settings, selection: Sequence[str], *, show: bool) -> Trial:
    catalog = load_catalog(settings)
    chosen = _models(catalog, selection)
    with workshop.writing(settings, "a developer's build"):
        with closing(workshop.connect(settings)) as connection:
            present = {f"{schema}.{name}" for schema, name in structure.columns(connection)}
            parents = _from_production(catalog, chosen, present)
            shown, fetched = production.fetch(settings, connection, [each.name for each in parents])
        # The same "now" as the tables that are read.
        now = settings.as_of or (shown.as_of if shown else None)
        here = settings.model_copy(update={"as_of": now})
        keys = [each.key for each in chosen]
        gate.mark_pending(settings, keys, "")
        seeded = dbt.run(here, ["seed"])
        if not seeded.success:
            raise SluiceError(f"The seeds cannot be loaded: {seeded.error}")
        outcome = dbt.run(
            here,
            [
                "build",
                "--select",
                *[f"{each.name},resource_type:model" for each in chosen],
                *[f"{each.name},test_type:data" for each in chosen],
                *[f"{each.name},test_type:unit" for each in chosen],
                # Tests that read what is neither built here nor fetched say nothing about it.
                "--indirect-selection",
                "buildable",
                *_deferring(settings, catalog, parents),
            ],
        )
        with closing(workshop.connect(settings)) as connection:
            return _trial(catalog, connection, outcome, shown, fetched, show)


def _models(catalog: Catalog, selection: Sequence[str]) -> tuple[Dataset, ...]:
    chosen = chosen_datasets(catalog, selection) or ()
    models = tuple(each for each in chosen if each.layer in BUILT_LAYERS)
    if not models:
        raise SettingsError(
            "Nothing to build was named.",
            remedy="Name models: `sluice develop finance_mrr_daily`, or +name for what it reads.",
        )
    return models


def _from_production(
    catalog: Catalog, chosen: Sequence[Dataset], present: set[str]
) -> list[Dataset]:
    """The parents that are not built now: production's where it publishes them, else ours."""
    built = {each.key for each in chosen}
    others = {parent for each in chosen for parent in each.parents} - built
    wanted = [catalog[key] for key in sorted(others) if catalog[key].layer != "seeds"]
    lacking = [each for each in wanted if not each.is_public and each.relation not in present]
    if lacking:
        listed = ", ".join(each.key for each in lacking)
        raise SluiceError(
            f"Neither does production publish it, nor was it built here: {listed}.",
            remedy="Build it, too: "
            f"`sluice develop {' '.join(f'+{each.name}' for each in chosen[:3])}` after "
            "`sluice run --select layer:raw` on data of your own.",
        )
    return [each for each in wanted if each.is_public]


def _deferring(settings: Settings, catalog: Catalog, parents: Sequence[Dataset]) -> list[str]:
    """dbt's own deferral: a manifest that says of these parents that they are production's."""
    if not parents:
        return []
    folder = settings.dbt_target_path / "production"
    folder.mkdir(parents=True, exist_ok=True)
    _write_manifest(folder / "manifest.json", catalog, {each.unique_id for each in parents})
    return ["--defer", "--favor-state", "--state", str(folder)]


def _write_manifest(path: Path, catalog: Catalog, ids: set[str]) -> None:
    nodes: dict[str, Mapping[str, Any]] = {}
    for unique_id in sorted(ids):
        node = dict(catalog.manifest["nodes"][unique_id])
        name = node.get("alias") or node["name"]
        place = f"{named(node['database'])}.{named(str(production.SCHEMA))}.{named(name)}"
        nodes[unique_id] = node | {"schema": str(production.SCHEMA), "relation_name": place}
    path.write_text(json.dumps({**catalog.manifest, "nodes": nodes}))


def _trial(
    catalog: Catalog,
    connection: Connection,
    outcome: dbt.Outcome,
    shown: production.Snapshot | None,
    fetched: Sequence[Fetched],
    show: bool,
) -> Trial:
    if outcome.error and not outcome.nodes:
        raise SluiceError(f"dbt built nothing: {outcome.error}")
    models: list[Tried] = []
    tests = [each for each in outcome.nodes if not each.unique_id.startswith("model.")]
    for node in outcome.nodes:
        key = catalog.keys_by_unique_id.get(node.unique_id)
        if key is None:
            continue
        rows: int | None = None
        columns: tuple[str, ...] = ()
        first: tuple[tuple[Any, ...], ...] = ()
        if node.status == "success":
            relation = catalog[key].relation
            [rows] = connection.execute(f"select count(*) from {relation}").fetchone()
            if show:
                answer = connection.execute(f"select * from {relation} limit {SHOWN_ROWS}")
                columns = tuple(str(each[0]) for each in answer.description)
                first = tuple(map(tuple, answer.fetchall()))
        models.append(Tried(key, node.status, rows, node.seconds, node.message, columns, first))
    bad = tuple(
        f"{each.unique_id.split('.')[2]}: {each.message}"
        for each in tests
        if each.status not in ("success", "pass", "warn", "skipped")
    )
    return Trial(tuple(models), bad, len(tests), shown, tuple(fetched))
