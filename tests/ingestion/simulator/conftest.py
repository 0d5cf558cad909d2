"""Histories that several tests look at; each is played once and never changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingestion.simulator import simulate
from warehouse.settings import Settings

# Long enough for every kind of drift (the last begins on day 243).
HISTORY_DAYS = 250
# Long enough that days, months and funnels become final on the way.
SHORT_DAYS = 60


@dataclass(frozen=True)
class Played:
    settings: Settings
    summary: simulate.Summary

    @property
    def landing(self) -> Path:
        return Path(self.settings.landing_url)

    @property
    def books(self) -> Path:
        return self.settings.books_dir


def play_history(folder: Path, days: int, seed: int = 7) -> Played:
    settings = Settings(data_dir=folder, landing="")
    return Played(settings, simulate.run(settings, size="small", seed=seed, days=days))


Play = Callable[..., Played]


@pytest.fixture(scope="session")
def play() -> Play:
    return play_history


def file_contents(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_history(tmp_path_factory.mktemp("history"), HISTORY_DAYS)


@pytest.fixture(scope="session")
def short_history(tmp_path_factory: pytest.TempPathFactory) -> Played:
    return play_history(tmp_path_factory.mktemp("short"), SHORT_DAYS)


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, bytes]]:
    return file_contents
