"""Play the sample company: a history at once, or one more day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from ingestion.simulator.accidents import ACCIDENTS, Broken, land_broken, land_mended
from ingestion.simulator.accounts import account_changes_day
from ingestion.simulator.billing import billing_day
from ingestion.simulator.books import write_books
from ingestion.simulator.delivery import Delivered, Landing, clock_text
from ingestion.simulator.growth import growth_day, rates_day
from ingestion.simulator.people import people_day
from ingestion.simulator.product import product_day
from ingestion.simulator.records import Outbox
from ingestion.simulator.scale import DEFAULT_DAYS, SIZES, calendar_day
from ingestion.simulator.state import START_AGAIN, State, load_state
from warehouse.errors import LockedError, SluiceError
from warehouse.settings import Settings

# A kill costs at most so much work: days since the last save are played again, identically.
_SAVE_EVERY_DAYS, _SAVE_EVERY_SECONDS = 60, 10.0

Progress = Callable[[date, int, int], None]
"""Called after each day with that day, the days done and the days wanted."""


@dataclass(frozen=True)
class Summary:
    """What one call did."""

    days: int
    first_day: date | None
    last_day: date
    files: int
    rows: dict[str, int]
    seconds: float
    size: str
    seed: int

    @property
    def was_complete(self) -> bool:
        """Nothing was left to play."""
        return self.days == 0


def state_path(settings: Settings) -> Path:
    return settings.own_dir / "simulator" / "state.npz"


def run(
    settings: Settings, *, size: str = "small", seed: int = 7, days: int | None = None,
    progress: Progress | None = None,
) -> Summary:  # fmt: skip
    """Play a history of so many days, from the start or from where an earlier call was ended."""
    if size not in SIZES:
        raise SluiceError(
            f"There is no size {size!r} of the sample company.",
            remedy=f"Choose one of {', '.join(SIZES)}.",
        )
    if days is not None and days < 1:
        raise SluiceError(
            f"A history of {days} days cannot be played.", remedy="Ask for 1 or more."
        )
    with only_player(settings):
        landing = Landing(settings.landing_url)
        state = _begun(settings, landing, size, seed, days)
        if days is not None:
            state.target_days = max(days, state.days)
        return _play(settings, state, landing, state.target_days - state.days, progress)


def next_day(settings: Settings, progress: Progress | None = None) -> Summary:
    """Play one more day of the company that is there."""
    with only_player(settings):
        state = present_state(settings)
        return _play(settings, state, Landing(settings.landing_url), 1, progress)


def inject(settings: Settings, kind: str) -> Broken:
    """Let one delivery go wrong on purpose: one more file on the last day, or one day more."""
    if kind not in ACCIDENTS:
        raise SluiceError(
            f"There is no accident {kind!r}.", remedy=f"Choose one of {', '.join(ACCIDENTS)}."
        )
    with only_player(settings):
        state, landing = present_state(settings), Landing(settings.landing_url)
        if kind != "stale-source":
            broken = land_broken(state, landing, kind)
            finish(settings, state, landing)
            return broken
        if any(i["kind"] == kind and not i["is_mended"] for i in state.injections):
            raise SluiceError(
                "The events of a day are held back already.", remedy="Mend that first."
            )
        accident = ACCIDENTS[kind]
        state.injections.append({"kind": kind, "files": [], "is_mended": False})
        _play(settings, state, landing, 1, None, frozenset({accident.entity}))
        return Broken(kind, accident.entity, accident.what, (), 0)


def mend(settings: Settings) -> list[Broken]:
    """Let the sources send right what was injected wrong, accident by accident."""
    with only_player(settings):
        state, landing = present_state(settings), Landing(settings.landing_url)
        open_ones = [i for i in state.injections if not i["is_mended"]]
        if not open_ones:
            raise SluiceError(
                "No injected accident is open.", remedy="Nothing is to be mended: go on."
            )
        mended = [land_mended(state, landing, injection) for injection in open_ones]
        finish(settings, state, landing)
        return mended


def _begun(settings: Settings, landing: Landing, size: str, seed: int, days: int | None) -> State:
    path = state_path(settings)
    if not path.exists():
        if landing.clock() is not None:
            raise SluiceError(
                f"The landing zone {landing.root} holds a simulated history, but its state in "
                f"{path} is gone, so that it cannot be carried on.",
                remedy=START_AGAIN,
            )
        return State(seed, size, days or DEFAULT_DAYS)
    state = load_state(path)
    if (state.size, state.seed) != (size, seed):
        raise SluiceError(
            f"{settings.own_dir} holds the sample company of size {state.size} and seed "
            f"{state.seed}; size {size} and seed {seed} cannot be added to it.",
            remedy=START_AGAIN,
        )
    return state


def present_state(settings: Settings) -> State:
    path = state_path(settings)
    if not path.exists():
        raise SluiceError(
            f"No sample company was found in {settings.own_dir}.",
            remedy="Play a history first: `sluice simulate`.",
        )
    return load_state(path)


def _play(
    settings: Settings, state: State, landing: Landing, days: int, progress: Progress | None,
    withheld: frozenset[str] = frozenset(),
) -> Summary:  # fmt: skip
    begin = saved = time.monotonic()
    saved_day = first = state.days
    delivered = Delivered()
    for done in range(1, days + 1):
        play_day(state, landing, delivered, withheld)
        now = time.monotonic()
        if state.days - saved_day >= _SAVE_EVERY_DAYS or now - saved > _SAVE_EVERY_SECONDS:
            state.save(state_path(settings))
            saved, saved_day = time.monotonic(), state.days
        if progress is not None:
            progress(calendar_day(state.last_day), done, days)
    if days or landing.clock() != clock_text(state.last_day):
        finish(settings, state, landing)
    return Summary(
        days=days, first_day=calendar_day(first) if days else None,
        last_day=calendar_day(state.last_day), files=len(delivered.paths), rows=delivered.rows,
        seconds=time.monotonic() - begin, size=state.size, seed=state.seed,
    )  # fmt: skip


def play_day(
    state: State, landing: Landing, delivered: Delivered, withheld: frozenset[str] = frozenset()
) -> None:
    """One day of the company's life, and the files it leaves."""
    day, company, outbox = state.days, state.company, Outbox()
    rates_day(company, day, outbox)
    growth_day(company, day, outbox)
    billing_day(company, day, outbox)
    people_day(company, day, outbox)
    account_changes_day(company, day, outbox)
    product_day(company, day, outbox)
    state.ledger.begin_day()
    state.courier.deliver(day, outbox, landing, delivered, withheld)
    state.ledger.end_day(day)
    state.days += 1


def finish(settings: Settings, state: State, landing: Landing) -> None:
    """Books, then state, then the clock: whoever sees the clock sees all of its span."""
    write_books(state.ledger, state.last_day, settings.books_dir)
    state.save(state_path(settings))
    landing.set_clock(state.last_day)


@contextmanager
def only_player(settings: Settings) -> Iterator[None]:
    """One simulation at a time in one data folder."""
    path = state_path(settings).with_name("player.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(
                f"Another process is simulating in {settings.own_dir}.",
                remedy="Wait until it has ended, then try again.",
            ) from error
        yield
