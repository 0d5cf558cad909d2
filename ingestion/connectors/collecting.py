"""The collector of a source: started as a server, or asked for what it left behind."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import Any

import orjson
import uvicorn

from ingestion.connectors.collector import Collector
from ingestion.connectors.declaration import Connector
from ingestion.connectors.delivery import Stream
from ingestion.connectors.journal import (
    REJECTED,
    Journal,
    land_leftovers,
    only_collector,
)
from ingestion.connectors.outcome import Fetched, Report
from ingestion.connectors.taxonomy import Taxonomy, collected, read_taxonomy
from ingestion.connectors.words import CollectorEntity, CollectorSource
from ingestion.landing import ORIGINALS
from warehouse.errors import LockedError, SettingsError
from warehouse.settings import Settings
from warehouse.words import counted


def collect(
    settings: Settings,
    connector: Connector,
    host: str,
    port: int,
    landed: Callable[[Fetched], None],
    ready: Callable[[str], None],
) -> None:
    """Serve until the process is told to end; then write, land and go."""
    declared = connector.source_as(CollectorSource)
    [contract] = collected(connector)
    entity = connector.entities_as(CollectorEntity)[contract.entity]
    taxonomy = read_taxonomy(settings, connector)
    with only_collector(settings, connector.source):
        listener = _listening(host, port)
        leftovers = land_leftovers(settings, connector.source, contract.entity)
        if leftovers.files:
            landed(leftovers)
        journal = Journal(settings, connector.source, contract.entity, declared, landed)
        app = Collector(declared, entity, taxonomy, journal).app()
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        config = uvicorn.Config(
            app, http="httptools", log_config=None, access_log=False, server_header=False,
            backlog=2048, timeout_keep_alive=75, timeout_graceful_shutdown=10,
        )  # fmt: skip
        ready(f"http://{host}:{listener.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[listener])
        journal.close()


def _listening(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # From here on connections queue, even before anybody answers.
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"The collector cannot listen on {host}:{port}: {error.strerror}.",
            remedy="Choose another --port, or end what listens there.",
        ) from error
    return listener


def fetch_collected(settings: Settings, connector: Connector, report: Report) -> Fetched:
    """What a killed collector left; and rejected events that today's taxonomy knows."""
    [contract] = collected(connector)
    try:
        with only_collector(settings, connector.source):
            fetched = land_leftovers(settings, connector.source, contract.entity)
    except LockedError:
        # It runs, and lands its files itself.
        fetched = Fetched(connector.source, "collector")
    taxonomy = read_taxonomy(settings, connector)
    stream = Stream(settings, connector.source, "rejected")
    stream.settle()
    if stream.cursor.get("taxonomy") != taxonomy.fingerprint:
        _retry(stream, contract.entity, taxonomy, fetched)
    return fetched


def _retry(stream: Stream, entity: str, taxonomy: Taxonomy, fetched: Fetched) -> None:
    """The taxonomy has changed: what does it say of the events that it rejected before?"""
    landed: dict[str, list[int]] = dict(stream.cursor.get("landed", {}))
    good: list[bytes] = []
    for path in rejected_files(stream, entity):
        before = set(landed.get(path, ()))
        for number, line in enumerate(stream.store.read(path).splitlines()):
            row: Any = orjson.loads(line)["event"]
            if number in before or not isinstance(row, dict):
                continue
            text = orjson.dumps(row)
            if taxonomy.fault(row, len(text)) is None:
                good.append(text + b"\n")
                before.add(number)
        if before:
            landed[path] = sorted(before)
    delivery = stream.begin()
    if good:
        with delivery.batch(entity, "retried", "jsonl") as into:
            into.writelines(good)
        fetched.add(entity, files=1, rows=len(good))
        fetched.notes.append(f"understood now: {counted(len(good), 'rejected event')}")
    stream.commit(delivery, {"taxonomy": taxonomy.fingerprint, "landed": landed})


def rejected_files(stream: Stream, entity: str) -> list[str]:
    base = f"{stream.source}/{entity}"
    return [
        f"{base}/{day}/{REJECTED}/{name}"
        for day in stream.store.names(base)
        if day != ORIGINALS
        for name in stream.store.names(f"{base}/{day}/{REJECTED}")
        if not name.startswith(".")
    ]
