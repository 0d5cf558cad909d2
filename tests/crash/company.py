"""A small company whose sources land day by day, to be killed at any point of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import warehouse_rows
from platform_under_test import sluice_in
from postgres_server import PostgresServer
from pydantic import SecretStr
from warm import Warm

from warehouse import platform_log, snapshots, versions
from warehouse.crash_points import CRASH_AT, DISK_FULL_AT
from warehouse.settings import Settings
from warehouse.workshop import connect

# Every kind of step, on what it takes least: a source, two layers, reference data, a publish.
SELECTION = ("--select", "+fct_user_activity_daily", "--select", "fct_feature_usage_daily")
LAST_STEP = ("--select", "fct_user_activity_daily", "--select", "fct_feature_usage_daily")
DAYS = 40
# Every step of a run is of a kind that the company's data meets; the platform's own log, which
# would be built after each visit, adds no other.
QUIET = {"SLUICE_REPORT": "never"}

Tables = Mapping[str, str]
"""By public table, its columns and rows as a fingerprint."""


@dataclass(frozen=True)
class Ended:
    code: int
    output: str


def warm_for(folder: Path) -> Warm:
    """Definitions of the whole project are made once, as the folder's settings say."""
    modules = ("crash.impatient", "orchestration.definitions")
    return Warm(modules, sluice_in(folder, **QUIET).environment)


@dataclass(frozen=True)
class Company:
    """One copy of the company at some moment."""

    folder: Path
    warm: Warm = field(repr=False)
    postgres: str = ""

    @property
    def settings(self) -> Settings:
        return Settings(
            data_dir=self.folder / "data",
            dagster_home=self.folder / "dagster",
            target="postgres" if self.postgres else "duckdb",
            postgres=SecretStr(self.postgres),
        )

    def on(self, server: PostgresServer) -> Company:
        """The same company with its warehouse there."""
        return replace(self, postgres=server.url)

    def __call__(self, *arguments: str, code: int | None = 0, **more: str) -> Ended:
        if self.postgres:
            more = {"SLUICE_TARGET": "postgres", "SLUICE_POSTGRES": self.postgres, **more}
        done = self.warm(arguments, sluice_in(self.folder, **QUIET, **more).environment)
        ended = Ended(done.returncode, done.stdout + done.stderr)
        assert code is None or ended.code == code, f"{arguments} → {ended.code}\n{ended.output}"
        return ended

    def killed_at(self, point: str, *arguments: str) -> Ended:
        return self(*arguments, code=-9, **{CRASH_AT: point})

    def full_at(self, point: str, *arguments: str) -> Ended:
        return self(*arguments, code=None, **{DISK_FULL_AT: point})

    def copy(self, folder: Path) -> Company:
        """Landed files never change, so they are linked."""
        shutil.copytree(self.folder, folder, symlinks=True, copy_function=_link_landed)
        return Company(folder, self.warm)

    def published(self, snapshot_id: str | None = None) -> Tables:
        """What a consumer reads of the company: every table of a snapshot, whole."""
        wanted = snapshot_id or snapshots.current_id(self.settings)
        if wanted is None:
            return {}
        connection = snapshots.open_published(self.settings, wanted)
        try:
            return {
                key.partition(".")[2]: versions.fingerprint(connection, each)
                for key, each in versions.relations(connection).items()
                # What the platform tells of itself differs: a killed run is in it.
                if not key.startswith(("published._", "published.platform_"))
            }
        finally:
            connection.close()

    def built(self) -> dict[str, warehouse_rows.Rows]:
        """Every table of the workshop that models make."""
        with closing(connect(self.settings)) as connection:
            return warehouse_rows.tables(connection, ("raw_events", "staging", "curated"))

    def kept(self) -> Iterator[Tables]:
        for snapshot_id in snapshots.ids(self.settings):
            yield self.published(snapshot_id)

    def leftovers(self) -> list[Path]:
        return [
            path
            for path in self.settings.published_dir.rglob("*")
            if ".tmp" in path.name or path.suffix == ".wal"
        ]

    def switches(self) -> list[str]:
        """The snapshots that the platform log says consumers were switched to, the last first."""
        events = platform_log.read_newest_first(self.settings, snapshots.KIND)
        return [
            str(each["snapshot_id"])
            for each in events
            if each["event"] in ("published", "rolled_back")
        ]

    def gates(self) -> dict[str, str]:
        with duckdb.connect() as connection:
            rows = connection.execute(
                "select key, arg_max(state, logged_at) from read_json(?, union_by_name = true,"
                " columns = {key: 'varchar', state: 'varchar', logged_at: 'varchar'}) group by key",
                [str(self.settings.data_dir / "landing/platform/gates/*/*.jsonl")],
            ).fetchall()
        return dict(rows)


def _link_landed(source: str, target: str) -> None:
    # Events of the log are appended as new files, and the summary beside them is replaced.
    if "/landing/" in source and not source.endswith("_clock.json"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)
