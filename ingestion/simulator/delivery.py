"""Files into the landing zone: each day's records, with what goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import fsspec
import numpy as np

from ingestion.simulator.chance import Domain, stream
from ingestion.simulator.defects import (
    KINDS,
    duplicates,
    hold_back,
    record_rows,
    recorded,
    repairs,
    spoil,
    spoiled_kinds,
)
from ingestion.simulator.ledger import Ledger
from ingestion.simulator.lines import text
from ingestion.simulator.records import (
    COPY,
    DTYPES,
    ENTITIES,
    FRESH,
    REPAIR,
    Outbox,
    extension,
    stacked,
    taken,
)
from ingestion.simulator.render import header, render
from ingestion.simulator.scale import (
    EVENTS_CUT_DAY,
    HOUR_MS,
    PAYMENTS_CUT_DAY,
    Array,
    calendar_day,
    day_start,
)
from warehouse.clock import SIMULATED_CLOCK

_EVENT_BATCHES, _EVENTS_A_FILE = 4, 45_000
_DISORDERLY = 0.1
# 1000 events are 430 kB of text: larger pieces leave the cache and cost up to twice as much.
_ROWS_AT_ONCE = 1000
# From this batch number on, files did not come with the daily run: injected, mended, caught up.
EXTRA_BATCH = 90


def file_path(entity: str, day: int, batch: int) -> str:
    """Relative to the landing root. Names within an entity are unique and sort by arrival."""
    source, name = entity.split(".")
    on = calendar_day(day)
    return f"{source}/{name}/{on.isoformat()}/{on:%Y%m%d}-{batch:02d}.{extension(entity)}"


class Landing:
    """The landing zone: whole files only, under their final names."""

    def __init__(self, url: str) -> None:
        self._filesystem, self.root = fsspec.core.url_to_fs(url)
        self._is_local = "file" in self._filesystem.protocol
        self._known_folders: set[Path] = set()

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        if not self._is_local:
            # An object store shows an object only when it is whole.
            self._filesystem.pipe_file(f"{self.root}/{path}", b"".join(pieces))
            return
        place = Path(self.root) / path
        if place.parent not in self._known_folders:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._known_folders.add(place.parent)
        aside = place.with_name(f".{place.name}")
        with aside.open("wb") as file:
            file.writelines(pieces)
        aside.replace(place)

    def read(self, path: str) -> bytes:
        content: bytes = self._filesystem.cat_file(f"{self.root}/{path}")
        return content

    def exists(self, path: str) -> bool:
        return bool(self._filesystem.exists(f"{self.root}/{path}"))

    def set_clock(self, day: int) -> None:
        """The simulated present: the midnight that ends this day. Always written last."""
        self.write(SIMULATED_CLOCK, [json.dumps({"now": clock_text(day)}).encode()])

    def clock(self) -> str | None:
        if not self.exists(SIMULATED_CLOCK):
            return None
        return str(json.loads(self.read(SIMULATED_CLOCK))["now"])


def clock_text(day: int) -> str:
    now = datetime.combine(calendar_day(day), datetime.min.time(), UTC) + timedelta(days=1)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Delivered:
    """What one call landed."""

    paths: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)

    def count(self, entity: str, path: str, rows: int) -> None:
        self.paths.append(path)
        self.rows[entity] = self.rows.get(entity, 0) + rows


class Courier:
    """Carries each day's records to the landing zone, and the good ones into the ledger."""

    def __init__(self, seed: int, ledger: Ledger) -> None:
        self.seed = seed
        self.ledger = ledger
        self.waiting = {entity: np.empty(0, DTYPES[entity]) for entity in ENTITIES}
        self.sent_again = {entity: np.empty(0, DTYPES[entity]) for entity in ENTITIES}
        self.payments_were_cut = False

    def deliver(
        self, day: int, outbox: Outbox, landing: Landing, delivered: Delivered,
        withheld: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        for number, entity in enumerate(ENTITIES):
            rows = outbox.take(entity)
            if not len(rows) + len(self.waiting[entity]) + len(self.sent_again[entity]):
                continue
            rng = stream(self.seed, Domain.DELIVERY + number, day)
            rows = hold_back(rng, entity, rows, day)
            waiting = stacked(self.waiting[entity], rows)
            if entity in withheld:
                self.waiting[entity] = waiting
                continue
            self.waiting[entity] = taken(waiting, waiting["due"] > day)
            due = taken(waiting, waiting["due"] <= day)
            self._deliver_entity(rng, entity, day, due, 1, landing, delivered)

    def catch_up(self, entity: str, day: int, landing: Landing, delivered: Delivered) -> None:
        """Bring what a source held back on this day."""
        rng = stream(self.seed, Domain.DELIVERY + EXTRA_BATCH + ENTITIES.index(entity), day)
        waiting = self.waiting[entity]
        self.waiting[entity] = taken(waiting, waiting["due"] > day)
        due = taken(waiting, waiting["due"] <= day)
        self._deliver_entity(rng, entity, day, due, EXTRA_BATCH, landing, delivered)

    def _deliver_entity(
        self, rng: np.random.Generator, entity: str, day: int, due: Array, first_batch: int,
        landing: Landing, delivered: Delivered,
    ) -> None:  # fmt: skip
        cut_batch = self._cut_batch(entity, day, due)
        if cut_batch is None:
            kinds = spoiled_kinds(rng, entity, due)
            copies = duplicates(rng, due, kinds, day)
            now = copies["due"] <= day
            self.waiting[entity] = stacked(
                self.waiting[entity], repairs(rng, due, kinds, day), copies[~now]
            )
            due = stacked(due, copies[now])
            kinds = np.concatenate([kinds, np.full(int(now.sum()), -1)])
        else:
            kinds = np.full(len(due), -1)
        batches = _batches(rng, entity, day, due)
        batch = first_batch
        for number, members in enumerate(batches):
            rows = taken(due, members)
            is_cut = number == cut_batch and len(rows) >= 2
            if is_cut:
                rows = self._cut(entity, day, rows)
            self._land(entity, day, batch, rows, kinds[members], is_cut, landing, delivered)
            batch += 1
        again = self.sent_again[entity]
        today = again["due"] <= day
        if today.any():
            self.sent_again[entity] = again[~today]
            self._land_again(entity, day, batch, again[today], landing, delivered)

    def _cut_batch(self, entity: str, day: int, due: Array) -> int | None:
        """The batch whose file is cut short today, if any. Nothing else goes wrong then, so
        that the row that is cut has its first good delivery when the batch is sent again."""
        if entity == "events.events" and day == EVENTS_CUT_DAY:
            return 1
        if entity != "billing.payments" or day < PAYMENTS_CUT_DAY or self.payments_were_cut:
            return None
        if len(due) < 2 or not np.isin(due["mark"], (FRESH, REPAIR)).any():
            return None
        self.payments_were_cut = True
        return 0

    def _cut(self, entity: str, day: int, rows: Array) -> Array:
        """Put a row last that is delivered for the first time; plan the batch's return."""
        last = int(np.flatnonzero(np.isin(rows["mark"], (FRESH, REPAIR)))[-1])
        rows[[last, -1]] = rows[[-1, last]]
        again = rows.copy()
        again["due"], again["mark"] = day + 1, COPY
        again["mark"][-1] = REPAIR
        self.sent_again[entity] = stacked(self.sent_again[entity], again)
        return rows

    def _land(
        self, entity: str, day: int, batch: int, rows: Array, kinds: Array, is_cut: bool,
        landing: Landing, delivered: Delivered,
    ) -> None:  # fmt: skip
        if not len(rows):
            return
        first_line = header(entity, day)
        good = (kinds < 0) & (rows["mark"] != COPY)
        number = ENTITIES.index(entity)
        log = self.ledger["defects"]
        record_rows(log, entity, number, day, batch, rows, kinds)
        lines: Iterable[bytes] = _text(entity, rows, kinds, first_line)
        if is_cut:
            last = text(render(entity, rows[-1:]))
            lines = chain(_text(entity, rows[:-1], kinds, first_line), [last[: len(last) // 2]])
            good[-1] = False
            recorded(log, number, day, batch, "truncated", 1)
        path = file_path(entity, day, batch)
        landing.write(path, chain([first_line], lines))
        self.ledger.record(entity, taken(rows, good), day)
        delivered.count(entity, path, len(rows))

    def _land_again(
        self, entity: str, day: int, batch: int, rows: Array, landing: Landing,
        delivered: Delivered,
    ) -> None:  # fmt: skip
        path = file_path(entity, day, batch)
        landing.write(path, [header(entity, day), text(render(entity, rows))])
        number = ENTITIES.index(entity)
        recorded(self.ledger["defects"], number, day, batch, "resent", len(rows))
        self.ledger.record(entity, rows[rows["mark"] == REPAIR], day)
        delivered.count(entity, path, len(rows))


def _text(entity: str, rows: Array, kinds: Array, first_line: bytes) -> Iterator[bytes]:
    """The rows' lines, broken where they come broken; made in pieces that fit the CPU's cache."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        block = render(entity, rows[start : start + _ROWS_AT_ONCE])
        done = 0
        for row in np.flatnonzero(kinds[start : start + _ROWS_AT_ONCE] >= 0).tolist():
            right = text(block[row : row + 1])
            broken = spoil(entity, KINDS[kinds[start + row]], right, first_line)
            yield text(block[done:row])
            yield broken
            done = row + 1
        yield text(block[done:])


def _batches(rng: np.random.Generator, entity: str, day: int, rows: Array) -> list[Array]:
    """Which rows go into which file, in no good order."""
    if entity != "events.events":
        return [rng.permutation(len(rows))]
    arrival = rows["received"].copy()
    elsewhere = (rows["mark"] != FRESH) | (rng.random(len(rows)) < _DISORDERLY)
    shift = rng.integers(-2 * HOUR_MS, 2 * HOUR_MS, len(rows))
    arrival[elsewhere] += shift[elsewhere]
    again = (rows["mark"] != FRESH) & (rows["received"] < day_start(day))
    arrival[again] = day_start(day) + rng.integers(0, 24 * HOUR_MS, int(again.sum()))
    order = np.argsort(arrival, kind="stable")
    files = max(_EVENT_BATCHES, -(-len(rows) // _EVENTS_A_FILE))
    return [part for part in np.array_split(order, files) if len(part)]
