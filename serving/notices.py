"""What a message about an incident says, and how it looks in a chat, a letter and a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from serving.incidents import Incident, span
from serving.timeline import StaleTable
from warehouse.words import counted, some

Transition = Literal["opened", "acknowledged", "closed"]
TRANSITIONS: tuple[Transition, ...] = ("opened", "acknowledged", "closed")
SIGNS = {"opened": "✗", "acknowledged": "·", "closed": "✓"}
SHOWN_NAMES = 8


@dataclass(frozen=True)
class Notice:
    """`key` is the same each time that this is told: whoever receives it twice can tell."""

    key: str
    subject: str
    lines: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        width = max((len(label) for label, _ in self.lines), default=0)
        return "\n".join(
            [self.subject, *(f"  {label:<{width}}  {value}" for label, value in self.lines)]
        )

    @property
    def chat(self) -> dict[str, Any]:
        """Slack's form, which Mattermost, Rocket.Chat and others understand."""
        lines = [f"*{_escaped(self.subject)}*"]
        lines += [f"{_bold(label)}{_escaped(value)}" for label, value in self.lines]
        return {"text": "\n".join(lines)}


def notice(
    incident: Incident, transition: Transition, stale: Sequence[StaleTable], docs_url: str = ""
) -> Notice:
    return Notice(
        f"{incident.incident_id}.{transition}",
        f"{SIGNS[transition]} [tier {incident.tier}] {incident.dataset_key} "
        f"{_happened(incident, transition)}",
        tuple(_lines(incident, transition, stale, docs_url)),
    )


def trial(channel: str) -> Notice:
    return Notice(
        f"trial.{channel}",
        f"· A trial message of Sluice to the channel {channel}: nothing is wrong.",
        (("more", "sluice incident list"),),
    )


def _happened(incident: Incident, transition: Transition) -> str:
    if transition == "closed":
        return f"is open again after {_lasted(incident)}"
    if transition == "acknowledged":
        return f"is looked after by {incident.acknowledged_by or 'somebody'}"
    return f"is closed{' again' if incident.is_recurrence else ''}: {incident.reason}"


def _lines(
    incident: Incident, transition: Transition, stale: Sequence[StaleTable], docs_url: str
) -> list[tuple[str, str]]:
    what = "was" if transition == "closed" else "what"
    lines = [(what, incident.reason), ("where", _where(incident)), ("since", _since(incident))]
    below, metrics = incident.affected_datasets, incident.affected_metrics
    lines.append(("affects", _counted("dataset", incident.affected_dataset_count, below)))
    if metrics:
        lines.append(("", _counted("metric", len(metrics), metrics)))
    if transition == "closed":
        if incident.cause:
            lines.append(("cause", incident.cause))
        if not stale:
            lines.append(("consumers", "read all of it fresh again"))
        else:
            kept = some([each.name for each in stale], SHOWN_NAMES)
            lines.append(("consumers", f"still read as it was, because of another gate: {kept}"))
    elif stale:
        lines += [("consumers", each) for each in _kept(stale)]
    else:
        lines.append(("consumers", "see no stale table of it"))
    lines.append(("owner", f"{incident.owner or 'nobody'}, tier {incident.tier}"))
    if incident.is_recurrence:
        lines.append(("again", f"{incident.recurrence_of} was the same"))
    page = f"{docs_url.rstrip('/')}/{incident.runbook}" if docs_url else incident.runbook
    lines += [("runbook", page), ("more", f"sluice incident show {incident.incident_id}")]
    return lines


def _where(incident: Incident) -> str:
    source = f", source {incident.source}" if incident.source else ""
    return f"{incident.dataset_key} (layer {incident.layer}{source})"


def _since(incident: Incident) -> str:
    opened = f"{incident.opened_at:%Y-%m-%d %H:%M} UTC"
    if incident.closed_at is None:
        return opened
    return f"{opened} until {incident.closed_at:%Y-%m-%d %H:%M} UTC ({_lasted(incident)})"


def _lasted(incident: Incident) -> str:
    return span(incident.lasted(incident.closed_at or incident.opened_at))


def _kept(stale: Sequence[StaleTable]) -> list[str]:
    """Tables that show the same moment are told together."""
    found: dict[str, list[str]] = {}
    for each in stale:
        since = each.shows_since
        found.setdefault(f"{since:%Y-%m-%d %H:%M} UTC" if since else "", []).append(each.name)
    return [
        f"read as it was at {since}: {some(names, SHOWN_NAMES)}"
        if since
        else f"cannot read yet: {some(names, SHOWN_NAMES)}"
        for since, names in found.items()
    ]


def _counted(word: str, count: int, names: Sequence[str]) -> str:
    if not count:
        return f"no {word} below it"
    return counted(count, word) + (f": {some(names, SHOWN_NAMES)}" if names else "")


def _bold(label: str) -> str:
    return f"*{label}:* " if label else ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
