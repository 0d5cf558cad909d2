"""One whole benchmark: its folder, how long its history is, and what was measured so far."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.figures import Aim, Figures
from benchmarks.measure import Used, python, sluice

SHORT_DAYS = 91
"""Of the long history's events, the short one has so many days."""


@dataclass(frozen=True)
class Bench:
    folder: Path
    size: str
    days: int
    figures: Figures

    @cached_property
    def landing(self) -> Path:
        """A data folder into which the long history was simulated, and nothing else."""
        where = self.folder / "simulated"
        start = python(where, "-c", "import cli.main, ingestion.simulator.simulate")
        used = sluice(where, "simulate", "--size", self.size, "--days", str(self.days))
        count = sum(
            path.read_bytes().count(b"\n") for path in (where / "landing" / "events").glob("*/*/*")
        )
        tell = self.figures.tell
        tell("events of the history", count, "events")
        tell("simulate: events a second of CPU", count / net(used, start), "events/s",
             Aim(at_least=300_000))  # fmt: skip
        tell("simulate: peak memory", used.peak_megabytes, "MB")
        return where

    @cached_property
    def loaded(self) -> Path:
        """The same, loaded; everything of it is in raw."""
        where = self.copy("loaded")
        python(where, "-m", "benchmarks.ours", "load")
        return where

    @cached_property
    def built(self) -> Path:
        """The same, with every model built, and no test or gate run on it."""
        where = self.folder / "built"
        shutil.copytree(self.loaded, where)
        for part in ("seed", "build"):
            python(where, "-m", "benchmarks.ours", part)
        return where

    def copy(self, name: str, *, short: bool = False) -> Path:
        """A data folder of its own with the history; the short one has its last days' events."""
        where = self.folder / name
        for part in ("landing", "simulator", "books"):
            shutil.copytree(self.landing / part, where / part)
        received = sorted((where / "landing" / "events" / "events").iterdir())
        for day in received[:-SHORT_DAYS] if short else ():
            shutil.rmtree(day)
        return where


def net(used: Used, start: Used) -> float:
    return max(used.cpu_seconds - start.cpu_seconds, 0.01)
