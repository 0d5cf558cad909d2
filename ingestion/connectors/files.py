"""File drops: whole files into landing, byte for byte, each of them once."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from ingestion.connectors.conversion import (
    UnreadableError,
    arrived,
    check,
    convert,
    copy,
    fits_as_it_is,
    landed_extension,
)
from ingestion.connectors.declaration import Connector
from ingestion.connectors.delivery import Delivery, Stream
from ingestion.connectors.drop import Drop, Dropped, matches
from ingestion.connectors.outcome import Fetched, Report
from ingestion.connectors.words import FilesEntity, FilesSource
from ingestion.contracts import Contract
from warehouse.settings import Settings
from warehouse.words import counted

# What lands together: a kill costs at most the fetching of so much.
_FILES_A_COMMIT: Final = 500
_BYTES_A_COMMIT: Final = 512 * 1024 * 1024


def fetch_files(settings: Settings, connector: Connector, report: Report) -> Fetched:
    declared = connector.source_as(FilesSource)
    entities = connector.entities_as(FilesEntity)
    for name, entity in entities.items():
        check(connector.contracts[name], entity, f"{connector.file}: {connector.source}.{name}")
    drop, fetched = Drop(declared, connector.source), Fetched(connector.source, "files")
    listed = drop.listing()
    streams = {name: Stream(settings, connector.source, name) for name in entities}
    for stream in streams.values():
        stream.settle()
    wanted = {
        name: [file for file in listed if _is_news(file, entity, streams[name].cursor)]
        for name, entity in entities.items()
    }
    together = [file for files in wanted.values() for file in files]
    whole = set(drop.complete(together, listed))
    if len(whole) < len(set(together)):
        fetched.notes.append(
            f"not complete yet: {counted(len(set(together)) - len(whole), 'file')}; next time"
        )
    for name, entity in entities.items():
        files = [file for file in wanted[name] if file in whole]
        contract = connector.contracts[name]
        _take(settings, drop, streams[name], contract, entity, files, fetched, report)
    _note_strangers(listed, entities, declared, drop, fetched)
    return fetched


def _is_news(file: Dropped, entity: FilesEntity, cursor: Mapping[str, Any]) -> bool:
    if not matches(entity.pattern, file.path):
        return False
    before = cursor.get("taken", {}).get(file.path)
    return before is None or (before["size"], before["stamp"]) != (file.size, file.stamp)


def _take(
    settings: Settings,
    drop: Drop,
    stream: Stream,
    contract: Contract,
    entity: FilesEntity,
    files: list[Dropped],
    fetched: Fetched,
    report: Report,
) -> None:
    waiting = list(files)
    with tempfile.TemporaryDirectory(prefix="sluice-drop-") as folder:
        while waiting:
            delivery, taken, size = stream.begin(), dict(stream.cursor.get("taken", {})), 0
            count = 0
            while waiting and count < _FILES_A_COMMIT and size < _BYTES_A_COMMIT:
                file = waiting.pop(0)
                path = Path(folder, "received")
                _land(drop, delivery, contract, entity, file, path, taken, fetched)
                count, size = count + 1, size + file.size
            if taken != stream.cursor.get("taken"):
                stream.commit(delivery, {"taken": taken})
            if waiting:
                report(f"  {contract.name}: {len(files) - len(waiting):,} of {len(files):,} files")


def _land(
    drop: Drop,
    delivery: Delivery,
    contract: Contract,
    entity: FilesEntity,
    file: Dropped,
    path: Path,
    taken: dict[str, Any],
    fetched: Fetched,
) -> None:
    digest = drop.fetch(file, path)
    if digest is None:
        fetched.notes.append(f"{file.path} changed while it was read: next time")
        return
    before = taken.get(file.path)
    known = {**asdict(file), "hash": digest}
    del known["path"]
    if before is not None and before["hash"] == digest:
        taken[file.path] = {**known, "batch": before["batch"]}
        return
    if before is not None:
        text = f"{file.path} was delivered again with other content than {before['batch']}"
        if drop.declared.redelivered == "refuse":
            fetched.problems.append(f"{text}; it is not taken (redelivered: refuse)")
            return
        fetched.notes.append(f"{text}; it landed as another batch")
    rows = _write(delivery, contract, entity, file, path, fetched)
    taken[file.path] = {**known, "batch": delivery.landed[-1].rsplit("/", 1)[-1]}
    fetched.add(contract.entity, files=1, rows=rows, size=file.size)


def _write(
    delivery: Delivery,
    contract: Contract,
    entity: FilesEntity,
    file: Dropped,
    path: Path,
    fetched: Fetched,
) -> int:
    """As it is, or converted with the original beside it, or as it is for the loader to refuse."""
    label = f"{len(delivery.files):03d}-{file.name.split('.')[0]}"
    received = ".".join(file.name.split(".")[1:]) or "bin"
    try:
        come = arrived(path, file.name, entity)
        if not fits_as_it_is(come, contract):
            with tempfile.TemporaryFile(dir=path.parent) as made:
                rows = convert(come, contract, made)
                made.seek(0)
                extension = landed_extension(come, contract, as_it_is=False)
                with (
                    delivery.original(contract.entity, label, received) as into,
                    path.open("rb") as raw,
                ):
                    copy(raw, into)
                with delivery.batch(contract.entity, label, extension) as into:
                    copy(made, into)
            return rows
        received = landed_extension(come, contract, as_it_is=True)
    except (UnreadableError, EOFError, OSError, UnicodeError) as error:
        fetched.problems.append(f"{file.path} cannot be understood: {error}")
    with delivery.batch(contract.entity, label, received) as into, path.open("rb") as raw:
        copy(raw, into)
    return 0


def _note_strangers(
    listed: list[Dropped],
    entities: Mapping[str, FilesEntity],
    declared: FilesSource,
    drop: Drop,
    fetched: Fetched,
) -> None:
    markers = {drop.marker_of(file) for file in listed} if declared.marker else set()
    strangers = [
        file.path
        for file in listed
        if file.path not in markers
        and not any(matches(entity.pattern, file.path) for entity in entities.values())
    ]
    if strangers:
        shown = ", ".join(strangers[:3]) + (" …" if len(strangers) > 3 else "")
        fetched.notes.append(f"of no pattern: {counted(len(strangers), 'file')}, {shown}")
