"""“As of”: which snapshot consumers saw at a moment in the past."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from warehouse import platform_log, snapshots
from warehouse.errors import WRONG_USE, PublishError
from warehouse.settings import Settings

SWITCHES = ("published", "rolled_back")


def snapshot_at(settings: Settings, wanted: str) -> str:
    """The id of a kept snapshot, by its id or by a moment (a bare day means its end, UTC)."""
    if wanted in snapshots.ids(settings):
        return wanted
    moment = _moment(wanted)
    if moment is None:
        if not snapshots.is_id(wanted):
            raise PublishError(
                f"{wanted!r} is neither a time nor a snapshot's id.",
                remedy="Write a day (2026-03-31: its end), a time in UTC (2026-03-31T12:00), or an "
                "id: `sluice published list`.",
                exit_code=WRONG_USE,
            )
        # An id that is not kept: `show` says which are.
        return snapshots.show(settings, wanted).snapshot_id
    seen = _seen_at(settings, moment)
    if seen is None:
        raise PublishError(
            f"Nothing was published yet at {moment:%Y-%m-%d %H:%M:%S} UTC.",
            remedy="Ask for a later moment; `sluice published list` shows what is kept.",
            exit_code=WRONG_USE,
        )
    if seen not in snapshots.ids(settings):
        raise PublishError(
            f"At {moment:%Y-%m-%d %H:%M:%S} UTC consumers saw snapshot {seen}, which is not kept.",
            remedy="`sluice published list` shows what is kept. SLUICE_KEEP_DAYS keeps one "
            "snapshot a day for longer, `sluice published pin` keeps one of them.",
            exit_code=WRONG_USE,
        )
    return seen


def catch_up(settings: Settings) -> None:
    """Log the switch that a killed process made and could not tell (call it under `exclusive`)."""
    now = snapshots.current_id(settings)
    told = _seen_at(settings, datetime.max.replace(tzinfo=UTC))
    if now is None or now == told:
        return
    # Names are in order of time: only a roll back goes to an earlier one.
    event = "published" if told is None or now > told else "rolled_back"
    platform_log.append(
        settings,
        snapshots.KIND,
        [{"event": event, "snapshot_id": now, "was_interrupted": True}],
    )


def _seen_at(settings: Settings, moment: datetime) -> str | None:
    for event in platform_log.read_newest_first(settings, snapshots.KIND):
        if event.get("event") in SWITCHES and platform_log.logged_at(event) <= moment:
            return str(event["snapshot_id"])
    return None


def _moment(text: str) -> datetime | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return datetime.combine(day, time.max, UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
