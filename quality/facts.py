"""What `due` decides by, gathered from landing, the workshop, the gates and the check files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from catalog.catalog import Catalog, Dataset
from ingestion.ledger import SCHEMA as LEDGER
from ingestion.survey import reasons_to_load
from quality import gate, holes, own_checks, standards
from quality.due import Facts
from quality.gate_state import is_gated
from warehouse import backfills, builds, structure
from warehouse.clock import as_of, last_day, wall_clock
from warehouse.connection import NO_SUCH_TABLE, Connection
from warehouse.settings import Settings


def gather(
    settings: Settings,
    catalog: Catalog,
    connection: Connection,
    keys: Iterable[str],
    *,
    tested_with: Mapping[str, frozenset[str]],
    kept_back: Collection[str] = (),
) -> Facts:
    """What concerns these datasets. `tested_with` names what the dbt tests of each read as well,
    `kept_back` are those that call their columns too little.
    """
    datasets = [catalog[key] for key in keys]
    gated = [each for each in datasets if is_gated(each)]
    raw = [each for each in datasets if each.layer == "raw"]
    checks = {each.key: standards.text(each) for each in gated}
    names = standards.keys_by_name(catalog)
    company, wall = as_of(settings), wall_clock()
    now = {each.key: wall if each.has_wall_clock else company for each in datasets}
    return Facts(
        states=gate.states(settings, catalog.datasets),
        builds=builds.read(connection),
        tables=_tables(connection),
        last_day=last_day(settings),
        today={key: moment.date() for key, moment in now.items()},
        waiting=reasons_to_load(settings, connection, {each.source for each in raw}) if raw else {},
        newest=_newest(connection) if raw else {},
        holes=_holes(catalog, connection, datasets),
        standards={each.key: standards.mark(catalog, each) for each in gated},
        beside={
            key: (tested_with.get(key, frozenset()) | standards.named_in(text, names)) - {key}
            for key, text in checks.items()
        },
        by_the_day=frozenset(
            key for key, text in checks.items() if standards.goes_by_the_day(text)
        ),
        kept_back=frozenset(kept_back),
        held=frozenset(backfills.held(connection)),
        freshness={
            key: str(check.outcome) for key, check in own_checks.freshness(connection, gated, now)
        },
    )


def _tables(connection: Connection) -> frozenset[str]:
    return frozenset(f"{schema}.{name}" for schema, name in structure.columns(connection))


def _newest(connection: Connection) -> dict[str, int]:
    try:
        rows = connection.execute(
            "select 'raw.' || source || '.' || entity, max(batch_id)"
            f" from {LEDGER}.batches group by source, entity"
        ).fetchall()
    except NO_SUCH_TABLE:
        return {}
    return dict(rows)


def _holes(catalog: Catalog, connection: Connection, datasets: Iterable[Dataset]) -> frozenset[str]:
    found = holes.find_holes(catalog, connection, [each.key for each in datasets])
    asked = holes.asked_for(connection)
    return frozenset(
        (*(each.key for each in found), *(each.key for each in datasets if each.name in asked))
    )
