"""All that the next day depends on, kept in one compact file that is replaced whole."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ingestion.simulator.company import Company
from ingestion.simulator.delivery import Courier
from ingestion.simulator.ledger import Ledger
from ingestion.simulator.roll import Roll
from ingestion.simulator.scale import SIZES, Array
from warehouse.errors import SluiceError

# Raise it whenever a saved state of before could not be carried on.
STATE_VERSION = 1
START_AGAIN = "Start again with `make clean`, or set SLUICE_DATA_DIR to another folder."


@dataclass
class State:
    seed: int
    size: str
    target_days: int
    days: int = 0
    injections: list[dict[str, Any]] = field(default_factory=list)
    company: Company = field(init=False)
    ledger: Ledger = field(init=False)
    courier: Courier = field(init=False)

    def __post_init__(self) -> None:
        self.company = Company(self.seed, SIZES[self.size])
        self.ledger = Ledger()
        self.courier = Courier(self.seed, self.ledger)

    @property
    def last_day(self) -> int:
        return self.days - 1

    def _rolls(self) -> dict[str, Roll]:
        company = self.company
        rolls = {"accounts": company.accounts, "users": company.users, "leads": company.leads}
        rolls["rates"] = company.rates
        return rolls | {f"ledger.{name}": roll for name, roll in self.ledger.rolls.items()}

    def _array_shelves(self) -> dict[str, dict[str, Array]]:
        return {
            "open": self.company.open,
            "waiting": self.courier.waiting,
            "again": self.courier.sent_again,
        }

    def save(self, path: Path) -> None:
        arrays: dict[str, Array] = {}
        for name, roll in self._rolls().items():
            arrays |= {f"{name}/{column}": values for column, values in roll.dump().items()}
        for shelf, kept in self._array_shelves().items():
            arrays |= {f"{shelf}/{name}": values for name, values in kept.items()}
        facts = {
            "version": STATE_VERSION, "seed": self.seed, "size": self.size, "days": self.days,
            "target_days": self.target_days, "injections": self.injections,
            "next_number": self.company.next_number,
            "payments_were_cut": self.courier.payments_were_cut,
        }  # fmt: skip
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}")
        with aside.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def load_state(path: Path) -> State:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            facts = json.loads(arrays["facts"].tobytes())
            if facts["version"] != STATE_VERSION:
                raise SluiceError(
                    f"The simulator's state in {path} was written by another version "
                    f"({facts['version']}, this is {STATE_VERSION}).",
                    remedy=START_AGAIN,
                )
            return _restored(facts, {name: arrays[name] for name in arrays.files})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SluiceError(
            f"The simulator's state in {path} cannot be read: {error}.", remedy=START_AGAIN
        ) from error


def _restored(facts: dict[str, Any], arrays: dict[str, Array]) -> State:
    state = State(facts["seed"], facts["size"], facts["target_days"], facts["days"])
    state.injections = facts["injections"]
    state.company.next_number = facts["next_number"]
    state.courier.payments_were_cut = facts["payments_were_cut"]
    for name, roll in state._rolls().items():
        roll.load({column: arrays[f"{name}/{column}"] for column in roll.dump()})
    for shelf, kept in state._array_shelves().items():
        for name in kept:
            kept[name] = arrays[f"{shelf}/{name}"]
    return state
