"""Which visits the crash points get, derived from their register; and the page that lists them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from warehouse.crash_points import POINTS

Kind = Literal["kill", "full"]
Command = Literal[
    "run", "publish", "rollback", "pin", "unpin", "backup", "restore", "restore of a server"
]
KINDS: tuple[Kind, ...] = ("kill", "full")
# A whole run reaches these; the second of the two lists is reached by building the last step only.
RUN = ("load", "build", "gate", "log")
PUBLISH = ("publish", "pointer")
MET_OFTEN = ("gate", "log")
LATER = 3
COMMANDS: Mapping[Command, tuple[str, ...]] = {
    "rollback": ("rollback", "pointer", "log"),
    "pin": ("pin", "log"),
    "unpin": ("unpin", "log"),
}
CHAINED: Mapping[Command, tuple[str, ...]] = {
    "backup": ("backup",),
    "restore": ("restore",),
    "restore of a server": ("server",),
}
# Needs no company: tests/ingestion/test_letting_go.py visits these, both ways.
ELSEWHERE: Mapping[str, str] = {"retention": "retention apply"}
EVERYTHING = "SLUICE_TEST_ALL"


@dataclass(frozen=True)
class Visit:
    """One point, in one command, ended in one way, at the so manieth time that it is met."""

    command: Command
    point: str
    kind: Kind
    phase: Literal["first", "next"] = "next"
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.command}-{self.point}@{self.nth}-{self.kind}-{self.phase}"

    @property
    def at(self) -> str:
        return f"{self.point}@{self.nth}" if self.nth > 1 else self.point


def every_visit() -> Iterator[Visit]:
    """The whole cross product."""
    for point in POINTS:
        area = point.partition(".")[0]
        for kind in KINDS:
            if area in RUN + PUBLISH:
                yield Visit("run", point, kind, "first")
                yield Visit("run" if area in RUN else "publish", point, kind)
            if area in MET_OFTEN:
                yield Visit("run", point, kind, "next", LATER)
            for command, areas in {**COMMANDS, **CHAINED}.items():
                if area in areas:
                    yield Visit(command, point, kind)


def here() -> frozenset[str]:
    """The points that this matrix visits."""
    return frozenset(each for each in POINTS if each.partition(".")[0] not in ELSEWHERE)


def chains() -> list[tuple[Visit, ...]]:
    """Visits of a company one after the other, before it runs undisturbed.

    `make test` ends each run of a company at the next point, killed and full in turn, so that what
    one point left is what the next one meets. `make test-all` gives each visit its own company.
    """
    everything = list(every_visit())
    if os.environ.get(EVERYTHING):
        return [(each,) for each in everything]
    found: list[tuple[Visit, ...]] = []
    for command in ("run", "publish", *CHAINED):
        met = [each for each in everything if each.command == command and each.phase == "next"]
        points = dict.fromkeys(each.point for each in met)
        turns = {point: KINDS[number % 2] for number, point in enumerate(points)}
        found.append(
            tuple(
                max(
                    (each for each in met if (each.point, each.kind) == (point, kind)),
                    key=lambda each: each.nth,
                )
                for point, kind in turns.items()
            )
        )
    return found + [(each,) for each in everything if each.command in COMMANDS]


HOLDS = {
    "run": "Consumers see the snapshot before the run, or (from `pointer.switched` on) the whole "
    "one after it. The next `sluice run` ends with 0, its tables equal those of a run that nothing "
    "disturbed, no gate is pending, nothing is left aside.",
    "rollback": "Consumers see the snapshot before or the one rolled back to; rolling back again "
    "works.",
    "pin": "The pin is there whole or not at all, consumers see what they saw; pinning again "
    "works.",
    "unpin": "The pin is gone or there, consumers see what they saw; the pin can be set and taken "
    "off again.",
    "backup": "What is listed can be restored whole; the next backup is as if nothing had been.",
    "restore": "The workshop is the one before or the backup's, consumers see a whole snapshot. "
    "Restoring again works, and the next run gives the rows of a company that nothing disturbed.",
    "retention apply": "What is marked goes, then or at the next `sluice retention apply`; "
    "nothing is loaded twice, nothing else is gone (`tests/ingestion/test_letting_go.py`).",
    "restore of a server": "Every row on the server is the one before, or from `server.committed` "
    "on the backup's; restoring again works.",
}


def _as_typed(command: str) -> str:
    """`restore of a server` is a `sluice restore`, whose target is a server."""
    if command in ELSEWHERE.values():
        return f"`sluice {command}`"
    word, _, rest = command.partition(" ")
    group = "published " if command in COMMANDS else ""
    return f"`sluice {group}{word}` {rest}".strip()


def page(remake: str) -> str:
    everything = list(every_visit())
    lines = [
        "# Crash matrix",
        "",
        "At each of these points the process is killed (`kill -9`) and, in another visit, the disk",
        "is full. `make test` ends one run after the other of a company, each at the next point,",
        "and then lets it run; `make test-all` gives each visit a company of its own. Made from",
        "the register in `warehouse/crash_points.py`, not by hand; to make it anew:",
        f"`{remake}`.",
        "",
        f"{len(here())} points, {len(everything)} visits: "
        + ", ".join(
            f"{sum(each.kind == kind for each in everything)} {name}"
            for kind, name in (("kill", "by kill -9"), ("full", "on a full disk"))
        )
        + ".",
        "",
        "| point | what is the case there | visited by | visits |",
        "|---|---|---|---|",
    ]
    for point, what in POINTS.items():
        visits = [each for each in everything if each.point == point]
        commands = dict.fromkeys(
            "run" if each.command == "publish" else each.command for each in visits
        )
        elsewhere = ELSEWHERE.get(point.partition(".")[0], "")
        lines.append(
            f"| `{point}` | {what} | {', '.join(commands) or elsewhere} | {len(visits) or 2} |"
        )
    lines += ["", "## What holds after each", "", "| command | what is asserted |", "|---|---|"]
    lines += [f"| {_as_typed(command)} | {holds} |" for command, holds in HOLDS.items()]
    lines += [
        "",
        "A run is visited twice: the first one, with nothing published before, and the next one,",
        f"a day later; points that a run meets often also at the {LATER}rd time. What the points",
        "cannot show, a file system that is really full, is tried in",
        "`tests/warehouse/test_publish.py` and `tests/ingestion/test_bad_input.py`.",
        "",
    ]
    return "\n".join(lines)
