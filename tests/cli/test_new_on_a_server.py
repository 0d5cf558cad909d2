"""`sluice new …` where the warehouse is a PostgreSQL: from a file to a number that is asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

from new_sources import empty_house, outsiders
from platform_under_test import NO_PROMPT
from postgres_fixtures import new_database
from postgres_server import PostgresServer

from warehouse.settings import PROJECT_ROOT

# In one process, that imports once; each run is of the project as it then is.
SCRIPT = """
import json, sys
from click.testing import CliRunner
from cli.main import sluice
for words in json.loads(sys.argv[1]):
    sys.modules.pop("orchestration.definitions", None)
    done = CliRunner().invoke(sluice, words)
    print(json.dumps([words, done.exit_code, f"{done.output}{done.exception or ''}"]))
"""


def test_a_source_a_model_and_a_metric_of_ones_own_on_a_server(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
    url = new_database(postgres).url
    house = empty_house(
        tmp_path / "house", {**kept, "SLUICE_TARGET": "postgres", "SLUICE_POSTGRES": url}
    )
    spine = Path("dbt_project/models/metrics")
    (house.folder / spine).mkdir()
    for path in (PROJECT_ROOT / spine).glob("metrics_time_spine.*"):
        (house.folder / spine / path.name).write_text(path.read_text())
    orders = str(outsiders(tmp_path / "sent")["shop"])
    said = house(
        "-c",
        NO_PROMPT + SCRIPT,
        json.dumps(
            [
                ["new", "source", "shop", "--file", orders, "--land", "--yes"],
                ["run", "--select", "source:shop+"],
                ["new", "check", "stg_shop__orders", "--yes"],
                ["new", "model", "fct_orders", "--from", "stg_shop__orders", "--public", "--yes"],
                ["run", "--select", "stg_shop__orders+"],
                ["new", "metric", "orders", "--from", "fct_orders", "--agg", "count", "--yes"],
                ["metrics", "query", "orders", "--by", "answer"],
            ]
        ),
    )
    told = [json.loads(line) for line in said.splitlines()]
    assert [(words, text) for words, code, text in told if code] == []
    _, _, checked, _, run, metric, answer = (text for _, _, text in told)
    # What could be taken for a variable of the file stands in none of its checks.
    assert checked.count("closes the gate") >= 3 and "passes" not in checked
    assert "curated_shop: 1/1 models, 2/2 tests" in run and "✓ publish: " in run
    assert "2026-02-28       1" in metric
    assert answer.split()[2:] == ["no", "25", "on,", "off", "25"]
