"""Which snapshots stay: the newest few, the last of each recent day, and what people pinned."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from warehouse_shop import SINCE, build, markers, plan

from warehouse import platform_log, retention, snapshots
from warehouse.errors import PublishError
from warehouse.history import snapshot_at
from warehouse.publish import publish
from warehouse.retention import Pin, pin, pins, reasons, unpin
from warehouse.settings import Settings
from warehouse.switching import roll_back

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def here(either: Settings) -> Settings:
    return either


@pytest.fixture
def on_files(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", keep_snapshots=2, keep_days=0)


def named(at: datetime) -> str:
    return f"{at:%Y%m%d-%H%M%S-%f}"


def hourly(days: int) -> list[str]:
    """Snapshots made every hour, the newest first."""
    return [named(NOW - timedelta(hours=hour)) for hour in range(24 * days)]


def published(here: Settings, count: int) -> list[str]:
    made = []
    for marker in range(count):
        build(here, marker)
        made.append(publish(here, plan(), "run").snapshot_id)
    return made


def test_the_newest_stay_and_the_last_of_each_of_the_last_days() -> None:
    ids = hourly(30)
    stay = reasons(ids, ids[0], {}, NOW, newest=3, days=4)
    assert stay == {
        ids[0]: "current",
        ids[1]: "one of the newest 3",
        ids[2]: "one of the newest 3",
        "20260330-230000-000000": "the last of 2026-03-30",
        "20260329-230000-000000": "the last of 2026-03-29",
        "20260328-230000-000000": "the last of 2026-03-28",
        "20260327-230000-000000": "the last of 2026-03-27",
    }


def test_the_current_one_stays_however_old_it_is() -> None:
    ids = hourly(10)
    stay = reasons(ids, ids[-1], {}, NOW, newest=2, days=0)
    assert stay == {ids[-1]: "current", ids[0]: "one of the newest 2"}


def test_a_pin_holds_until_its_end() -> None:
    ids = hourly(10)
    pinned = {
        ids[100]: Pin(ids[100], "audit", "ada", NOW),
        ids[101]: Pin(ids[101], "campaign", "bo", NOW, NOW + timedelta(hours=1)),
        ids[102]: Pin(ids[102], "campaign", "bo", NOW, NOW - timedelta(hours=1)),
    }
    stay = reasons(ids, ids[0], pinned, NOW, newest=1, days=0)
    assert stay == {
        ids[0]: "current",
        ids[100]: "pinned by ada: audit",
        ids[101]: "pinned by bo until 2026-03-31 13:00 UTC: campaign",
    }


def test_a_pinned_snapshot_outlives_every_publish_until_it_is_unpinned(here: Settings) -> None:
    first = published(here, 1)[0]
    pin(here, first, "figures of the annual report", "ada")
    made = published(here, 4)
    assert snapshots.ids(here) == [made[3], made[2], first]
    assert markers(here, first)["orders"] == 0
    assert retention.kept_because(here, NOW)[first] == (
        "pinned by ada: figures of the annual report"
    )
    unpin(here, first)
    newest = published(here, 1)[0]
    assert snapshots.ids(here) == [newest, made[3]]
    told = [
        (each["event"], each["by"], each["reason"])
        for each in platform_log.read_newest_first(here, "publishes")
        if each["snapshot_id"] == first and each["event"] != "published"
    ]
    assert told == [
        ("unpinned", "ada", "figures of the annual report"),
        ("pinned", "ada", "figures of the annual report"),
    ]


def test_what_the_platform_says_of_itself_pushes_nothing_else_out(here: Settings) -> None:
    """The shop's totals are its platform: one state of the rest stays to go back to."""
    shop = [replace(each, is_about_platform=each.name == "totals") for each in plan()]
    ours = [replace(each, fresh=each.is_about_platform, since=SINCE) for each in shop]
    made = []
    for marker, tables in enumerate((shop, shop, ours, ours, ours)):
        build(here, marker)
        made.append(publish(here, tables, "run").snapshot_id)
    assert snapshots.ids(here) == [made[4], made[3], made[1]]
    assert retention.kept_because(here, NOW)[made[1]] == (
        "one of the newest 2 with news of the company"
    )
    assert markers(here, made[1])["orders"] == 1


def test_pinning_again_replaces_the_reason_and_the_end(here: Settings) -> None:
    [only] = published(here, 1)
    pin(here, only, "first thought", "ada")
    until = datetime(2027, 1, 1, tzinfo=UTC)
    pin(here, only, "second thought", "bo", until)
    found = pins(here)[only]
    assert (found.reason, found.by, found.until) == ("second thought", "bo", until)


def test_a_pin_that_cannot_be_read_holds(on_files: Settings) -> None:
    first = published(on_files, 1)[0]
    pin(on_files, first, "audit", "ada")
    (on_files.published_dir / "pins" / f"{first}.json").write_text("{")
    published(on_files, 3)
    assert first in snapshots.ids(on_files)
    assert "cannot be read" in retention.kept_because(on_files, NOW)[first]


def test_what_is_not_there_is_not_pinned_and_a_pin_needs_a_reason(here: Settings) -> None:
    [only] = published(here, 1)
    with pytest.raises(PublishError, match="is not kept"):
        pin(here, "20200101-000000-000000", "audit", "ada")
    with pytest.raises(PublishError, match="without a reason"):
        pin(here, only, " ", "ada")
    with pytest.raises(PublishError, match=r"is not pinned \(pinned: none\)"):
        unpin(here, only)


def logged(here: Settings, at: datetime, event: str, snapshot_id: str) -> None:
    """As if it had happened then."""
    folder = Path(here.landing_url) / "platform" / "publishes" / f"{at:%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    line = {"event_id": named(at), "logged_at": at.isoformat(), "event": event}
    (folder / f"{at:%Y%m%dT%H%M%S%f}-a.jsonl").write_text(
        json.dumps(line | {"snapshot_id": snapshot_id}) + "\n"
    )


def test_as_of_a_moment_is_what_consumers_saw_then(either: Settings) -> None:
    here = either.model_copy(update={"keep_snapshots": 3})
    gone, first, second, third = published(here, 4)
    for file in Path(here.landing_url).glob("platform/publishes/*/*"):
        file.unlink()
    logged(here, datetime(2026, 3, 1, 8, tzinfo=UTC), "published", gone)
    logged(here, datetime(2026, 3, 2, 8, tzinfo=UTC), "published", first)
    logged(here, datetime(2026, 3, 2, 9, tzinfo=UTC), "published", second)
    logged(here, datetime(2026, 3, 2, 10, tzinfo=UTC), "pinned", first)
    logged(here, datetime(2026, 3, 2, 11, tzinfo=UTC), "rolled_back", first)
    logged(here, datetime(2026, 3, 3, 8, tzinfo=UTC), "published", third)
    asked = {
        "2026-03-02T08:30": first,
        "2026-03-02T09:00:00+00:00": second,
        "2026-03-02T12:30:00+02:00": second,
        "2026-03-02T11:00Z": first,
        "2026-03-02": first,
        "2026-03-03": third,
        "2030-01-01": third,
        second: second,
    }
    assert {each: snapshot_at(here, each) for each in asked} == asked
    with pytest.raises(PublishError, match=f"saw snapshot {gone}, which is not kept"):
        snapshot_at(here, "2026-03-01")
    with pytest.raises(PublishError, match="Nothing was published yet at 2026-02-28"):
        snapshot_at(here, "2026-02-28")
    with pytest.raises(PublishError, match="'yesterday' is neither a time nor"):
        snapshot_at(here, "yesterday")


def test_after_a_roll_back_the_next_publish_starts_from_what_consumers_see(here: Settings) -> None:
    made = published(here, 2)
    roll_back(here, made[0])
    build(here, 7)
    publish(here, plan("totals"), "run")
    assert markers(here) == {"orders": 7, "customers": 7, "totals": 0}


def test_a_switch_that_was_not_logged_is_logged_by_the_next_one(here: Settings) -> None:
    """As a kill between the two leaves it."""
    made = published(here, 2)
    log = Path(here.landing_url) / "platform" / "publishes"
    sorted(log.glob("*/*"))[-1].unlink()
    roll_back(here, made[0])
    events = [
        (each["event"], each["snapshot_id"], each.get("was_interrupted", False))
        for each in platform_log.read_newest_first(here, "publishes")
    ]
    assert events == [
        ("rolled_back", made[0], False),
        ("published", made[1], True),
        ("published", made[0], False),
    ]
    sorted(log.glob("*/*"))[-1].unlink()
    published(here, 1)
    told = list(platform_log.read_newest_first(here, "publishes"))[1]
    assert (told["event"], told["snapshot_id"]) == ("rolled_back", made[0])


def test_a_pointer_that_is_no_link_is_named(on_files: Settings) -> None:
    [only] = published(on_files, 1)
    content = on_files.published_path.read_bytes()
    on_files.published_path.unlink()
    on_files.published_path.write_bytes(content)
    with pytest.raises(PublishError, match="is not the link that a publish makes"):
        snapshots.current(on_files)
    on_files.published_path.unlink()
    assert roll_back(on_files, only).is_current
