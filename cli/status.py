"""`sluice status`: what is published, what is closed, what is quarantined."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from cli.output import json_option, say, say_json, say_table
from warehouse.clock import as_of
from warehouse.errors import LockedError, ProjectError, SluiceError
from warehouse.settings import settings
from warehouse.words import counted, some

if TYPE_CHECKING:
    from catalog.catalog import Catalog
    from quality.gate_state import GateState
    from serving.incidents import Summary

LONGEST = 160
"""So much of a closed gate's reason is a line of a list; `sluice gate show` has the whole."""
NAMED = 2
"""So many gates are named of those that keep a table back for one reason."""
_GATE = re.compile(r"gate (?P<key>\S+) is (?P<how>\w+( since [\d :-]+ UTC)?):")
_NEXT_GATE = re.compile(r"; (?=gate \S+ is \w+)")


@click.command()
@json_option
def status(as_json: bool) -> None:
    """What is published, what is closed, what is in quarantine."""
    from quality import gate

    catalog, fault = _catalog()
    states = gate.states(settings(), catalog.datasets)
    found = {
        "as_of": as_of(settings()),
        "published": _published(),
        "gates": _gates(catalog, states),
        "incidents": _incidents(),
        "quarantine": _quarantine(),
        "let_go": _let_go(),
        "writer": _writer(),
        # Not asked, where the project cannot be read.
        "connectors": None if fault else _connectors(),
        "project": fault.what if fault else None,
    }
    if as_json:
        say_json({**found, "incidents": vars(found["incidents"])})
    else:
        _print(found, {key for key, each in states.items() if each.is_open})
    if fault is not None:
        raise fault


def _catalog() -> tuple[Catalog, SluiceError | None]:
    """What is published and closed can be told while somebody writes a file that cannot be read."""
    from catalog.catalog import as_read_last, load_catalog

    try:
        return load_catalog(settings()), None
    except ProjectError as error:
        catalog = as_read_last(settings())
        if catalog is None:
            raise
        return catalog, error


def _published() -> dict[str, Any] | None:
    from warehouse import snapshots

    current = snapshots.current(settings())
    if current is None:
        return None
    return {
        "snapshot": current.snapshot_id,
        "published_at": current.published_at,
        "tables": len(current.tables),
        "stale": [
            {"table": each.name, "since": each.shows_since, "because": each.reason}
            for each in current.stale
        ],
    }


def _gates(catalog: Catalog, states: Mapping[str, GateState]) -> dict[str, Any]:
    from quality.gate_state import GATED_LAYERS

    gated = [key for key, each in catalog.datasets.items() if each.layer in GATED_LAYERS]
    shut = []
    by_hand = []
    never = 0
    for key in gated:
        state = states.get(key)
        if state is None or state.state == "never":
            never += 1
        elif state.is_overridden and state.override is not None:
            by_hand.append({"dataset": key, **vars(state.override)})
        elif not state.is_open:
            shut.append(
                {
                    "dataset": key,
                    "state": state.state,
                    "since": state.since,
                    "because": state.reason,
                    "owner": catalog[key].owner,
                    "tier": catalog[key].tier,
                    "reaches": len(catalog.descendants(key)),
                }
            )
    return {
        "open": len(gated) - len(shut) - never,
        "never_built": never,
        "shut": shut,
        "opened_by_hand": by_hand,
    }


def _incidents() -> Summary:
    from serving.incidents import summary

    return summary(settings())


def _quarantine() -> list[dict[str, Any]] | str:
    from ingestion import quarantine
    from warehouse.workshop import connect, is_begun

    if not is_begun(settings()):
        return []
    try:
        with closing(connect(settings(), read_only=True)) as connection:
            return [vars(each) for each in quarantine.summary(connection)]
    except LockedError:
        return "a run is writing the warehouse: ask again when it has ended"


def _let_go() -> list[str]:
    from ingestion.retention.horizon import horizons
    from warehouse.workshop import connect, is_begun

    if not is_begun(settings()):
        return []
    try:
        with closing(connect(settings(), read_only=True)) as connection:
            return [str(each) for each in horizons(connection)]
    except LockedError:
        return []


def _writer() -> dict[str, str] | None:
    from warehouse.workshop import is_writing

    return is_writing(settings())


def _connectors() -> list[dict[str, Any]]:
    from ingestion.connectors.standing import standings

    return [vars(each) for each in standings(settings())]


def _print_connectors(found: list[dict[str, Any]]) -> None:
    say()
    say("Sources that are fetched (`sluice ingest`):")
    say_table(
        ["source", "by", "state", "last asked", "how far", "held back"],
        [
            (
                each["source"],
                each["kind"],
                each["state"],
                each["last_at"],
                each["problem"]
                or ", ".join(f"{name} {text}" for name, text in each["cursors"].items()),
                each["lag"],
            )
            for each in found
        ],
    )


def shortly(reason: str, shut: Collection[str], opened: Collection[str]) -> str:
    """Why a table is stale, gates by their names: why those are shut stands in the gates' list."""
    found: dict[str, list[str]] = {}
    for each in _NEXT_GATE.split(reason):
        blamed = _GATE.match(each)
        if blamed is not None and blamed["key"] in shut:
            found.setdefault(f"{blamed['how']}: …", []).append(blamed["key"])
        elif blamed is not None and blamed["key"] in opened:
            found.setdefault(f"{blamed['how']}: … (open now)", []).append(blamed["key"])
        else:
            # A gate that was never evaluated is in no list.
            found[_in_a_line(each)] = []
    return "; ".join(f"{_gates_named(keys)} {how}" if keys else how for how, keys in found.items())


def _gates_named(keys: Sequence[str]) -> str:
    if len(keys) == 1:
        return f"gate {keys[0]} is"
    named = " and ".join(keys) if len(keys) == NAMED else some(keys, NAMED)
    return f"gates {named} are"


def _in_a_line(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def _print(found: dict[str, Any], opened: Collection[str]) -> None:
    now = found["as_of"]
    published = found["published"]
    say(f"As of {now:%Y-%m-%d %H:%M} UTC")
    if found["writer"]:
        writer = found["writer"]
        pid = f" (pid {writer['pid']})" if writer.get("pid") else ""
        say(f"Writing: {writer.get('purpose')}{pid}, {writer.get('since')}")
    say()
    if published is None:
        say("Published: nothing yet. `sluice demo` or `sluice run` makes the first snapshot.")
    else:
        at = published["published_at"]
        say(
            f"Published: snapshot {published['snapshot']}, {at:%Y-%m-%d %H:%M:%S} UTC, "
            f"{counted(published['tables'], 'table')}, {len(published['stale'])} stale"
        )
        if published["stale"]:
            shut = [each["dataset"] for each in found["gates"]["shut"]]
            say_table(
                ["stale table", "as it was at", "because"],
                [
                    (each["table"], each["since"], shortly(each["because"], shut, opened))
                    for each in published["stale"]
                ],
            )
            if any("older than what it reads" in each["because"] for each in published["stale"]):
                say("What is older than what it reads is built by the next `sluice run`.")
    say()
    gates = found["gates"]
    say(
        f"Gates: {gates['open']} open, {len(gates['shut'])} closed, "
        f"{gates['never_built']} never built"
    )
    if gates["shut"]:
        reasons = [_in_a_line(each["because"]) for each in gates["shut"]]
        say_table(
            ["closed", "since", "owner", "tier", "reaches", "because"],
            [
                (
                    each["dataset"],
                    each["since"],
                    each["owner"],
                    each["tier"],
                    counted(each["reaches"], "dataset"),
                    "as above" if reason in reasons[:number] else reason,
                )
                for number, (each, reason) in enumerate(zip(gates["shut"], reasons, strict=True))
            ],
        )
        if any(each.endswith("…") for each in reasons):
            say(f"`sluice gate show {gates['shut'][0]['dataset']}` says the whole of it.")
    if gates["opened_by_hand"]:
        say("Opened by hand: their checks say no, somebody says yes.", "yellow")
        say_table(
            ["gate", "until", "by", "because", "its checks say"],
            [
                (each["dataset"], each["until"], each["by"], each["because"], each["against"])
                for each in gates["opened_by_hand"]
            ],
        )
    if found["incidents"].open:
        say(f"Incidents: {found['incidents']}", "red")
    say()
    quarantine = found["quarantine"]
    if isinstance(quarantine, str):
        say(f"Quarantine: {quarantine}")
    elif not quarantine:
        say("Quarantine: empty")
    else:
        say("Quarantine (rows received and not understood; `sluice quarantine show` shows them):")
        say_table(
            ["source", "entity", "rows", "files", "since", "mostly because"],
            [
                (
                    each["source"],
                    each["entity"],
                    f"{each['rows']:,}",
                    each["files"],
                    each["since"],
                    next(iter(each["reasons"]), ""),
                )
                for each in quarantine
            ],
            numbers=["rows", "files"],
        )
    if found["let_go"]:
        say()
        say("Let go by retention (a source's landing and raw reach no further back):")
        for each in found["let_go"]:
            say(f"  {each}")
    if found["connectors"]:
        _print_connectors(found["connectors"])
