"""A day is tested until its tests have passed, and then not again: one more day costs one day."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

from platform_under_test import Demo

from catalog.catalog import load_catalog
from quality.contents import contents
from warehouse import dbt
from warehouse.connection import Connection
from warehouse.settings import Settings
from warehouse.workshop import connect

EVENTS = "stg_events__product_events"
TWICE = f"insert into staging.{EVENTS} select * from staging.{EVENTS} where event_id = ?"
ONCE = f"delete from staging.{EVENTS} where event_id = ?"


def test_a_day_is_tested_until_it_passes(demo: Demo, tmp_path: Path) -> None:
    settings = copy_of(demo.sluice.settings, tmp_path)
    with closing(connect(settings)) as workshop:
        workshop.execute("drop table if exists platform.tested")
        [[old]] = workshop.execute(
            f"select min(event_id) from staging.{EVENTS}"
            f" where occurred_on = (select min(occurred_on) from staging.{EVENTS})"
        ).fetchall()
        workshop.execute(TWICE, [old])
    assert failed(settings) == ["unique_combination_stg_events__product_events_event_id"]
    with closing(connect(settings)) as workshop:
        touch_last_day(workshop)
    assert failed(settings), "a later build of other days must not let the bad day be forgotten"
    with closing(connect(settings)) as workshop:
        workshop.execute(ONCE, [old])
    assert failed(settings) == []
    with closing(connect(settings)) as workshop:
        [[noted]] = workshop.execute(
            "select distinct build_id from platform.tested where test like ?", [f"%{EVENTS}%"]
        ).fetchall()
        [[newest]] = workshop.execute(
            "select max(build_id) from platform.touches where model = ?", [EVENTS]
        ).fetchall()
        assert noted == newest
        workshop.execute(TWICE, [old])
    assert failed(settings) == [], "what has passed is not read again"


def test_a_views_gate_knows_a_change_by_what_the_view_reads(demo: Demo, tmp_path: Path) -> None:
    settings = copy_of(demo.sluice.settings, tmp_path)
    catalog = load_catalog(settings)
    view = catalog["curated.fct_product_events"]
    with closing(connect(settings)) as workshop:

        def content() -> str:
            return contents(catalog, workshop, [view])[view.key]

        seen = [content()]
        assert content() == seen[0]
        touch_last_day(workshop)
        seen.append(content())
        workshop.execute("update seeds.event_taxonomy set feature = 'another'")
        seen.append(content())
    assert len(set(seen)) == 3


def copy_of(made: Settings, folder: Path) -> Settings:
    for part in ("warehouse", "dbt"):
        shutil.copytree(made.data_dir / part, folder / part)
    return made.model_copy(update={"data_dir": folder})


def touch_last_day(workshop: Connection) -> None:
    """As a build of one more day notes it."""
    workshop.execute(
        "insert into platform.touches select model, max(build_id) + 1, max(partition_on)"
        " from platform.touches where model = ? group by model",
        [EVENTS],
    )


def failed(settings: Settings) -> list[str]:
    outcome = dbt.run(
        settings, ["test", "--select", EVENTS, "--exclude-resource-type", "unit_test"]
    )
    assert outcome.nodes, outcome.error
    return [each.unique_id.split(".")[2] for each in outcome.nodes if each.status == "fail"]
