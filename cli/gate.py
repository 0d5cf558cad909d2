"""`sluice gate`: look at the gates, and take responsibility for one in an emergency."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.moments import moment
from cli.output import by_option, json_option, say, say_json, say_table
from warehouse.clock import wall_clock
from warehouse.errors import SettingsError
from warehouse.settings import settings
from warehouse.words import counted

if TYPE_CHECKING:
    from catalog.catalog import Catalog, Dataset
    from quality.gate_state import GateState


@click.group()
def gate() -> None:
    """Look at the gates, or take one in hand for a reason."""


@gate.command("list")
@click.option("--closed", "only_closed", is_flag=True, help="Only gates that are not simply open.")
@json_option
def list_(only_closed: bool, as_json: bool) -> None:
    """Every gate: its state, since when, and why."""
    catalog, states = _states()
    found = [
        each
        for each in states.values()
        if not only_closed or not each.is_open or each.is_overridden
    ]
    if as_json:
        say_json([_plain(each) for each in found])
        return
    if not found:
        say(f"No gate is closed: all {len(states)} are open.")
        return
    say_table(
        ["gate", "state", "since", "tier", "owner", "because"],
        [
            (
                each.key,
                _word(each),
                each.since,
                catalog[each.key].tier,
                catalog[each.key].owner,
                each.reason,
            )
            for each in found
        ],
    )


@gate.command()
@click.argument("dataset")
@click.option("--limit", type=int, default=10, show_default=True, help="Events at the most.")
@json_option
def show(dataset: str, limit: int, as_json: bool) -> None:
    """One DATASET's gate: its last checks, and its history."""
    from itertools import islice

    from quality import gate_log
    from warehouse import platform_log

    catalog, states = _states()
    found = _named(catalog, dataset)
    state = states[found.key]
    events = platform_log.read_newest_first(settings(), gate_log.KIND)
    history = list(islice((each for each in events if each["key"] == found.key), limit))
    if as_json:
        say_json({**_plain(state), "events": history})
        return
    say(f"{state}", "" if state.is_open else "red")
    reach = catalog.descendants(found.key)
    say(
        f"owner {found.owner or '–'} · tier {found.tier} · read by {counted(len(reach), 'dataset')}"
    )
    if state.checks:
        say()
        say_table(
            ["check", "outcome", "value", "expected", "what it says"],
            [
                (
                    each["name"],
                    each["outcome"],
                    each.get("value"),
                    each.get("threshold", ""),
                    each.get("message", ""),
                )
                for each in state.checks
            ],
            numbers=["value"],
        )
    for each in state.checks:
        if rows := each.get("sample"):
            say()
            say(f"Some rows that “{each['name']}” is about, personal values masked:")
            say_table([*rows[0]], [[*row.values()] for row in rows])
    if not history:
        return
    say()
    say_table(
        ["at", "state", "run", "because"],
        [
            (
                datetime.fromisoformat(each["logged_at"]),
                each["state"],
                (each.get("run_id") or "")[:8],
                each.get("reason", ""),
            )
            for each in history
        ],
    )


@gate.command("open")
@click.argument("dataset")
@click.option("--because", required=True, help="Why its checks may be wrong, or do not matter.")
@click.option("--until", required=True, help="4h, 3d, or a moment: 2026-12-01T18:00 (UTC).")
@by_option
def open_(dataset: str, because: str, until: str, by: str) -> None:
    """Let a closed DATASET pass for a while. For emergencies.

    Whatever its checks say. It is recorded with your name, shown wherever the gate is, and ends by
    itself. What closed the gate is looked at again afterwards.
    """
    from quality import by_hand

    found = _named(_states()[0], dataset)
    state = by_hand.open_anyway(settings(), found.key, by, because, moment(until, wall_clock()))
    say(f"✓ {state}")
    say("  `sluice run` builds and publishes what it kept back.")


@gate.command()
@click.argument("dataset")
@click.option("--because", required=True, help="Why these rows are right after all.")
@by_option
def accept(dataset: str, because: str, by: str) -> None:
    """Say that the rows a source's DATASET closed on are right.

    They are not looked at again.
    """
    from quality import by_hand

    found = _named(_states()[0], dataset)
    say(f"✓ {by_hand.accept(settings(), found.key, by, because)}")
    say("  `sluice run` builds and publishes what it kept back.")


@gate.command()
@click.argument("dataset")
@click.option("--because", required=True, help="What no check saw.")
@by_option
def close(dataset: str, because: str, by: str) -> None:
    """Shut a DATASET's gate until it passes again."""
    from quality import by_hand

    found = _named(_states()[0], dataset)
    say(f"✓ {by_hand.close_by_hand(settings(), found.key, by, because)}")


def _states() -> tuple[Catalog, Mapping[str, GateState]]:
    from catalog.catalog import load_catalog
    from quality import gate as gates
    from quality.gate_state import is_gated

    catalog = load_catalog(settings())
    keys = [key for key, each in catalog.datasets.items() if is_gated(each)]
    return catalog, gates.states(settings(), keys)


def _named(catalog: Catalog, name: str) -> Dataset:
    from quality.gate_state import is_gated

    found = catalog.find(name)
    if not is_gated(found):
        raise SettingsError(f"{found.key} has no gate.", remedy="Seeds are reviewed, not gated.")
    return found


def _word(state: GateState) -> str:
    return "opened by hand" if state.is_overridden else state.state


def _plain(state: GateState) -> dict[str, Any]:
    return {
        "dataset": state.key,
        "state": state.state,
        "since": state.since,
        "because": state.reason,
        "override": vars(state.override) if state.override else None,
        "checks": [dict(each) for each in state.checks],
    }
