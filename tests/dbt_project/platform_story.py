"""Nine days of a small shop's platform log, by hand: what happened is known to the second."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warehouse.settings import Settings

ORDERS, CUSTOMERS, RETURNS = "raw.shop.orders", "raw.shop.customers", "raw.shop.returns"
VISITS, STAGED = "raw.web.visits", "staging.stg_shop__orders"
FACTS, TOTALS = "curated.fct_orders", "curated.fct_order_totals"
SALES, VISITS_DAILY = "marts.sales_daily", "marts.visits_daily"
ABOVE: Mapping[str, Sequence[str]] = {
    ORDERS: (),
    CUSTOMERS: (),
    RETURNS: (),
    VISITS: (),
    STAGED: (ORDERS,),
    FACTS: (ORDERS, STAGED),
    TOTALS: (ORDERS, STAGED, FACTS),
    SALES: (ORDERS, STAGED, FACTS, TOTALS),
    VISITS_DAILY: (VISITS,),
}
BAD_FILE = "shop/returns/2026-03-05/0005.jsonl: Every row lacks the required column order_id."


class Log:
    """Events as processes would have written them, each at its own time."""

    def __init__(self, settings: Settings) -> None:
        self.root = Path(settings.landing_url) / "platform"
        self.count = 0

    def write(self, kind: str, at: str, *events: Mapping[str, Any]) -> None:
        """`at` is a day of March 2026 and a time: `02 04:01`."""
        day, time = at.split()
        logged_at = f"2026-03-{day}T{time}{':00' if time.count(':') == 1 else ''}+00:00"
        self.count += 1
        lines = [
            {"event_id": self._id(kind, number), "logged_at": logged_at, **event}
            for number, event in enumerate(events)
        ]
        folder = self.root / kind / f"2026-03-{day}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{self.count:04}.jsonl").write_text(text)

    def _id(self, kind: str, number: int) -> str:
        return hashlib.md5(f"{kind} {self.count} {number}".encode()).hexdigest()

    def deploy(self, at: str, deploy_id: str, committed_at: str, *, is_fix: bool = False) -> None:
        self.write(
            "deploys",
            at,
            {
                "deploy_id": deploy_id,
                "commit": deploy_id * 4,
                "committed_at": committed_at,
                "subject": f"Change {deploy_id}",
                "is_fix": is_fix,
                "datasets_changed": list(ABOVE),
            },
        )
        self.write("datasets", at, *(definition(key, deploy_id) for key in ABOVE))

    def run(self, started: str, ended: str, run_id: str, outcome: str = "success") -> None:
        self.write("runs", started, {"event": "started", "run_id": run_id, "job": "build",
                                     "trigger": "schedule", "selection": []})  # fmt: skip
        if ended:
            self.write("runs", ended, {"event": "ended", "run_id": run_id, "job": "build",
                                       "outcome": outcome, "seconds": 600.25})  # fmt: skip

    def loaded(self, at: str, source: str, entity: str, rows: int, bad: int = 0) -> None:
        self.write("loads", at, {"outcome": "loaded", "source": source, "entity": entity,
                                 "file_count": 1, "row_count": rows, "quarantined_count": bad,
                                 "seconds": 0.5})  # fmt: skip

    def gates(self, at: str, run_id: str, *events: Mapping[str, Any]) -> None:
        self.write("gates", at, *({"run_id": run_id, **event} for event in events))


def definition(key: str, deploy_id: str) -> dict[str, Any]:
    layer, *rest = key.split(".")
    is_sales = key == SALES
    return {
        "deploy_id": deploy_id,
        "key": key,
        "name": rest[-1],
        "layer": layer,
        "source": rest[0] if layer == "raw" else "",
        "owner": "finance" if is_sales else "product" if "visits" in key else "shop",
        "tier": 1 if is_sales else 2,
        "is_public": layer == "marts",
        "description_length": 20,
        "column_count": 4,
        "documented_column_count": 4 if is_sales else 3,
        "check_count": 0 if layer == "staging" else 2,
        "test_count": 1,
        "parents": list(ABOVE[key][-1:]),
        "ancestors": list(ABOVE[key]),
        "metrics": ["sales", "sales_growth"] if is_sales else [],
        "service_level": {"freshness_hours": 24, "freshness_objective": 0.9}
        if key == VISITS
        else None,
    }


def check(kind: str = "row_count", outcome: str = "pass") -> dict[str, Any]:
    return {"check_id": kind, "type": kind, "name": kind, "outcome": outcome, "value": 1.5,
            "threshold": "more than 0", "column": "", "message": ""}  # fmt: skip


def opened(key: str) -> dict[str, Any]:
    return {"key": key, "state": "open", "reason": "", "checks": [check(), check("schema")]}


def closed(key: str, kind: str, reason: str = "", **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "state": "closed",
        "kind": kind,
        "reason": reason or f"{kind} of {key}",
        "checks": [check(outcome="fail"), check("schema")],
        **more,
    }


def pending(key: str) -> dict[str, Any]:
    return {"key": key, "state": "pending", "reason": "being rebuilt", "checks": []}


def play(log: Log) -> None:
    log.deploy("01 08:00", "d1", "2026-03-01T07:00:00+00:00")
    log.run("01 08:00", "01 08:10", "r1")
    log.loaded("01 08:01", "shop", "orders", 95, bad=5)
    log.gates("01 08:05", "r1", *(opened(key) for key in ABOVE))

    # Orders are wrong; what is below shuts with them, and one of it stays shut for its own reason.
    log.run("02 04:00", "02 04:10", "r2", "failure")
    log.gates("02 04:00:40", "r2", pending(ORDERS), pending(STAGED), pending(VISITS))
    log.gates("02 04:01", "r2", opened(VISITS), opened(VISITS_DAILY),
              closed(ORDERS, "check_failed", arrived_at="2026-03-02T03:00:00+00:00"))  # fmt: skip
    log.gates("02 04:02", "r2", closed(STAGED, "dbt_failed"))
    log.gates("02 04:03", "r2", closed(FACTS, "not_evaluated"))
    log.run("02 10:00", "02 10:10", "r3", "failure")
    log.loaded("02 10:00:30", "shop", "orders", 100)
    log.gates("02 10:01", "r3", opened(ORDERS))
    log.gates("02 10:02", "r3", opened(STAGED))
    log.gates("02 10:03", "r3", closed(FACTS, "dbt_failed"), closed(TOTALS, "check_failed"))
    log.run("03 04:00", "03 04:10", "r4")
    log.gates("03 04:03", "r4", opened(FACTS), opened(TOTALS), opened(SALES), opened(VISITS))

    # One file is refused, and shuts its whole source; a person opens it anyway.
    log.deploy("05 03:00", "d2", "2026-03-04T15:00:00+00:00")
    log.run("05 04:00", "05 04:10", "r5", "failure")
    log.write("loads", "05 04:00:10",
              {"outcome": "refused", "source": "shop", "entity": "returns",
               "file": BAD_FILE.split(":")[0], "reason": BAD_FILE})  # fmt: skip
    log.gates("05 04:00:11", "r5", *(
        closed(key, "load_refused", f"load: {BAD_FILE}") for key in (CUSTOMERS, ORDERS, RETURNS)
    ))  # fmt: skip
    log.gates("05 06:00", "", {**opened(RETURNS), "override_by": "ann", "reason": "it can wait"})
    log.run("06 04:00", "06 04:10", "r6")
    log.gates("06 04:01", "r6", opened(CUSTOMERS), opened(ORDERS), opened(RETURNS))

    # A run is killed; the next one ends without having mended what it left.
    log.run("06 12:00", "", "r7")
    log.gates("06 12:01", "r7", pending(SALES))
    log.run("06 18:00", "06 18:05", "r8", "failure")
    # Written by a version that does not say what kind of closing it is.
    late = {**closed(VISITS, "", "freshness: 80 hours old"), "kind": None}
    log.gates("06 18:02", "r8", {**late, "checks": [check("freshness", "fail")]})
    log.run("07 04:00", "07 04:10", "r9")
    log.gates("07 04:02", "r9", opened(VISITS), opened(VISITS_DAILY), opened(SALES))
    # Another one is killed, and the run that follows mends it: no incident.
    log.run("07 20:00", "", "r10")
    log.gates("07 20:01", "r10", pending(VISITS))

    # Orders are wrong again, and still are.
    log.run("08 04:00", "08 04:10", "r11", "failure")
    log.loaded("08 04:00:30", "shop", "orders", 100)
    log.gates("08 04:01", "r11", opened(VISITS), opened(VISITS_DAILY),
              closed(ORDERS, "check_failed"))  # fmt: skip
    log.deploy("09 12:00", "d3", "2026-03-09T10:00:00+00:00", is_fix=True)
    log.write("models", "09 12:05",
              {"run_id": "r12", "dataset": SALES, "status": "success", "seconds": 2.5,
               "row_count": 10, "materialized": "table"},
              {"run_id": "r12", "dataset": STAGED, "status": "error", "seconds": 1.5,
               "message": "no such column"})  # fmt: skip
