"""Fetch a source: ask its connector what is new, and say what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from ingestion.connectors.declaration import Connector, read_connectors
from ingestion.connectors.delivery import Stream, only_reader
from ingestion.connectors.files import fetch_files
from ingestion.connectors.outcome import LOG_KIND, Fetched, Report
from ingestion.connectors.references import without_secrets
from ingestion.connectors.standing import streams_of
from warehouse import platform_log
from warehouse.errors import ContractError, SettingsError, SluiceError
from warehouse.settings import Settings


def _rest(settings: Settings, connector: Connector, report: Report) -> Fetched:
    # Imported when it is needed: dlt takes more than a second.
    from ingestion.connectors.rest import fetch_rest

    return fetch_rest(settings, connector, report)


def _collected(settings: Settings, connector: Connector, report: Report) -> Fetched:
    from ingestion.connectors.collecting import fetch_collected

    return fetch_collected(settings, connector, report)


def _sql(settings: Settings, connector: Connector, report: Report) -> Fetched:
    from ingestion.connectors.sql import fetch_sql

    return fetch_sql(settings, connector, report)


def _postgres(settings: Settings, connector: Connector, report: Report) -> Fetched:
    try:
        from ingestion.connectors.postgres import fetch_postgres
    except ImportError as error:
        raise SettingsError(
            f"{connector.source} needs a package that is not installed: {error}.",
            remedy="Install the extra `postgres`.",
        ) from error
    return fetch_postgres(settings, connector, report)


_KINDS: Final[Mapping[str, Callable[[Settings, Connector, Report], Fetched]]] = {
    "files": fetch_files,
    "rest": _rest,
    "postgres": _postgres,
    "sql": _sql,
    "collector": _collected,
}


def connector_of(settings: Settings, source: str) -> Connector:
    found = read_connectors(settings)
    if source not in found:
        known = f" (those that have one: {', '.join(sorted(found))})" if found else ""
        raise ContractError(
            f"No connector is declared for the source {source!r}{known}.",
            remedy="Say `connector:` in the meta of its YAML: docs/guides/sources.md.",
        )
    return found[source]


def awake(settings: Settings) -> Mapping[str, Connector]:
    """The connectors whose variables and files are all there."""
    return {name: each for name, each in read_connectors(settings).items() if each.is_awake}


def asked(settings: Settings) -> Mapping[str, Connector]:
    """Those that are asked in a run, or by `sluice ingest`."""
    return {name: each for name, each in awake(settings).items() if each.kind in _KINDS}


def forget(settings: Settings, source: str) -> str:
    """The next fetch begins as the first one did; what has landed stays."""
    connector = connector_of(settings, source)
    with only_reader(settings, source):
        for name in streams_of(connector):
            stream = Stream(settings, source, name)
            stream.settle()
            stream.forget()
    return f"{source} is read from its beginning next time; what has landed stays."


def fetch(settings: Settings, source: str, report: Report) -> Fetched:
    """Whatever the source has that has not landed; a failure is logged, and raised."""
    connector, started = connector_of(settings, source), time.monotonic()
    if not connector.is_awake:
        raise SettingsError(
            f"The connector of {source} sleeps: {', '.join(connector.missing)} is not set.",
            remedy="Set it where Sluice runs, then try again.",
        )
    try:
        with only_reader(settings, source):
            fetched = _KINDS[connector.kind](settings, connector, report)
    except Exception as error:
        what = error.what if isinstance(error, SluiceError) else f"{type(error).__name__}: {error}"
        text = without_secrets(what, connector.secrets)
        _log_failure(settings, connector, text)
        if not isinstance(error, SluiceError):
            raise SluiceError(
                f"Fetching {source} failed: {text}",
                remedy="What had landed before stays; the next fetch carries on from there.",
            ) from None
        if text != what:
            raise type(error)(text, remedy=error.remedy) from None
        raise
    fetched.seconds = time.monotonic() - started
    fetched.notes = [without_secrets(each, connector.secrets) for each in fetched.notes]
    fetched.problems = [without_secrets(each, connector.secrets) for each in fetched.problems]
    log(settings, fetched)
    return fetched


def log(settings: Settings, fetched: Fetched) -> None:
    events: list[dict[str, object]] = [
        {
            "outcome": "fetched",
            "source": fetched.source,
            "connector": fetched.kind,
            "file_count": fetched.files,
            "row_count": fetched.rows,
            "byte_count": sum(each.bytes for each in fetched.entities.values()),
            "entities": sorted(fetched.entities),
            "lag_bytes": fetched.lag_bytes,
            "seconds": round(fetched.seconds, 3),
        }
    ]
    for outcome, texts in (("noted", fetched.notes), ("problem", fetched.problems)):
        events += [
            {
                "outcome": outcome,
                "source": fetched.source,
                "connector": fetched.kind,
                "reason": text,
            }
            for text in texts
        ]
    platform_log.append(settings, LOG_KIND, events)


def _log_failure(settings: Settings, connector: Connector, text: str) -> None:
    event = {
        "outcome": "failed",
        "source": connector.source,
        "connector": connector.kind,
        "reason": text,
    }
    platform_log.append(settings, LOG_KIND, [event])
