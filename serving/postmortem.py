"""A postmortem to begin with: what the log knows is filled in, what only people know is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from serving.incidents import Incident, IncidentError, add_fact, span
from serving.timeline import Moment
from warehouse.settings import Settings


def file_name(incident: Incident) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", incident.dataset_key.lower()).strip("-")
    return f"{incident.opened_at:%Y-%m-%d}-{slug}-{incident.incident_id}.md"


def write(
    settings: Settings,
    incident: Incident,
    moments: Sequence[Moment],
    *,
    by: str,
    to: Path | None = None,
    now: datetime,
) -> Path:
    """A new file, told to the log; one that is there belongs to whoever has written in it."""
    path = (to or settings.own_dir / "postmortems") / file_name(incident)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text(incident, moments, now))
    except FileExistsError as error:
        raise IncidentError(
            f"The postmortem {path} is there already and may have been written in.",
            remedy="Go on in that file, or move it away, or give another folder by --to.",
        ) from error
    add_fact(settings, incident, "postmortem", by, str(path))
    return path


def text(incident: Incident, moments: Sequence[Moment], now: datetime) -> str:
    return "\n".join(
        [
            f"# {incident.opened_at:%Y-%m-%d} · {incident.dataset_key}",
            "",
            "_What happened, in two sentences that a reader of the numbers understands._",
            "",
            *_table(_facts(incident, now)),
            "",
            "## Impact",
            *_impact(incident),
            "- _Who decided something by a stale or missing number? What did it cost them?_",
            "",
            "## Timeline",
            *_table([("UTC", "what", ""), *((_at(m.at), m.what, m.text) for m in moments)]),
            "",
            "## Cause",
            incident.cause or "_Not known yet. Why did it happen, and why then?_",
            "",
            "## Questions",
            "- _Detection:_ could it have been seen earlier, nearer to the source? By which check?",
            "- _Restoration:_ what took longest? Did the runbook "
            f"(`{incident.runbook}`) help, and what was missing in it?",
            "- _Blast radius:_ was anything held back that did not have to be?",
            "- _Luck:_ what went well that cannot be relied on?",
            *_recurrence(incident),
            "",
            "## What we change",
            "| what | who | until |",
            "|---|---|---|",
            "| | | |",
            "",
        ]
    )


def _facts(incident: Incident, now: datetime) -> list[tuple[str, str]]:
    detect, restore = incident.detect_seconds, incident.restore_seconds
    open_for = f"not yet, open for {span(incident.lasted(now))}"
    return [
        ("", ""),
        ("incident", incident.incident_id),
        ("what", incident.reason),
        ("kind", f"{incident.kind} (`{incident.runbook}`)"),
        ("owner, tier", f"{incident.owner or 'nobody'}, {incident.tier}"),
        ("arrived", _at(incident.arrived_at) if incident.arrived_at else "not known"),
        ("opened", _at(incident.opened_at)),
        ("acknowledged", _acknowledged(incident)),
        ("closed", _at(incident.closed_at) if incident.closed_at else "not yet"),
        ("time to detect", "not known" if detect is None else span(detect)),
        ("time to restore", open_for if restore is None else span(restore)),
    ]


def _acknowledged(incident: Incident) -> str:
    if incident.acknowledged_at is None:
        return "by nobody"
    return f"{_at(incident.acknowledged_at)} by {incident.acknowledged_by}"


def _impact(incident: Incident) -> list[str]:
    def told(word: str, names: Sequence[str]) -> str:
        return f"- {len(names)} {word}: {', '.join(names)}" if names else f"- no {word}"

    return [
        told("datasets held back", incident.affected_datasets),
        told("metrics that read them", incident.affected_metrics),
        told("owners", incident.affected_owners),
        f"- {incident.explained_closing_count} further closings are explained by this one",
    ]


def _recurrence(incident: Incident) -> list[str]:
    if not incident.is_recurrence:
        return []
    return [f"- _Again:_ {incident.recurrence_of} was the same. Why did its mending not hold?"]


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = ["| " + " | ".join(_cell(each) for each in row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _at(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}"
