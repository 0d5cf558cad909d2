"""`sluice new model|metric|check` on the demo's data: written, built, gated, answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from conftest import copy_of
from new_sources import Copy, copy_house
from platform_under_test import Demo

MODEL = "fct_session_accounts"
COMMANDS = {
    "check": ["check", "fct_sessions", "--kind", "range", "--kind", "values", "--yes"],
    "check again": ["check", "fct_sessions", "--kind", "range", "--kind", "values", "--yes"],
    "check of one column": ["check", "dim_leads", "--column", "status", "--dry-run"],
    "check of no column": ["check", "dim_leads", "--column", "statsu", "--dry-run"],
    "model": ["model", MODEL, "--from", "fct_sessions", "--from", "dim_accounts",
              "--by-day", "started_on", "--public", "--yes"],
    "model again": ["model", MODEL, "--from", "fct_sessions", "--yes"],
    "a mart of staging": ["model", "growth_leads_daily", "--from", "stg_crm__leads"],
    "no key to join by": ["model", "growth_leads_daily", "--from", "fct_sessions",
                          "--from", "dim_leads"],
    "no key": ["model", "growth_leads_daily", "--from", "dim_leads", "--key", "channel"],
    "no such day": ["model", "growth_leads_daily", "--from", "dim_leads", "--by-day", "created_on"],
    "metric": ["metric", "new_refunds", "--from", "fct_refunds", "--agg", "count", "--yes"],
    "metric on a measure": ["metric", "leads_so_far", "--kind", "cumulative",
                            "--measure", "leads", "--to-date", "year", "--yes"],
    "metric again": ["metric", "leads_so_far", "--measure", "leads", "--yes"],
    "metric without sense": ["metric", "nonsense", "--kind", "conversion",
                             "--base", "sign_ups", "--conversion", "leads", "--entity", "channel",
                             "--window", "3 days", "--yes"],
    "ratio": ["metric", "refunds_a_sign_up", "--kind", "ratio", "--numerator", "new_refunds",
              "--denominator", "sign_ups", "--yes"],
    "a part that is not there": ["metric", "x", "--kind", "ratio", "--numerator", "sing_ups",
                                 "--denominator", "leads"],
}  # fmt: skip
ALL = """
import json, sys
from contextlib import closing
from click.testing import CliRunner
from cli.main import sluice
said = {}
import time
times = {}
for name, words in json.loads(sys.argv[1]).items():
    t = time.process_time()
    done = CliRunner().invoke(sluice, ["new", *words])
    error = done.exception or ""
    times[name] = round(time.process_time() - t, 2)
    said[name] = [done.exit_code, f"{done.output}{error}{getattr(error, 'remedy', '')}"]
from catalog.catalog import load_catalog
from quality.checks import problems
from quality.evaluate import evaluate
from warehouse import dbt
from warehouse.settings import settings
from warehouse.workshop import connect
t = time.process_time()
built = dbt.run(settings(), ["build", "--select", sys.argv[2]])
said["built"] = {each.unique_id.split(".")[0] + " " + each.status: each.message for each in built.nodes}
times['build'] = time.process_time() - t
catalog = load_catalog(settings())
said["faults"] = [str(each) for each in problems(catalog)]
with closing(connect(settings())) as workshop:
    keys = ["curated." + sys.argv[2], "curated.fct_sessions"]
    verdicts = evaluate(settings(), catalog, workshop, keys)
    said["gates"] = [[c.name, c.outcome] for each in verdicts for c in each.checks]
    times['all'] = time.process_time()
    said["rows"] = workshop.execute(
        "select count(*), (select count(*) from curated.fct_sessions) from curated." + sys.argv[2]
    ).fetchall()[0]
said['times'] = times
print(json.dumps(said))
"""


@dataclass(frozen=True)
class Written:
    house: Copy
    said: Mapping[str, tuple[int, str]]
    after: Mapping[str, object]


@pytest.fixture(scope="module")
def written(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("new")
    mine = copy_of(demo, folder)
    house = copy_house(folder / "house", mine.environment, folder / "data")
    said = json.loads(house("-c", ALL, json.dumps(COMMANDS), MODEL).splitlines()[-1])
    return Written(house, {name: tuple(said.pop(name)) for name in COMMANDS}, said)


def test_x(written: Written) -> None:
    for name, (code, text) in written.said.items():
        print("=====", name, code)
        print(text)
    print(json.dumps(written.after, indent=1))
    assert 0
