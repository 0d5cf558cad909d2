"""What is still to be loaded: landing held against the ledger."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Final

from ingestion.aside import files_aside
from ingestion.contracts import Contract, read_contracts
from ingestion.healing import has_other_contract
from ingestion.inspection import (
    Inspected,
    Refusal,
    content_hash,
    inspect,
    is_made_alike,
    passing_by,
)
from ingestion.landing import LandedFile, Landing
from ingestion.ledger import LOADED, SCHEMA, WITHDRAWN, Known, known_files, set_aside_files
from warehouse.connection import Connection
from warehouse.platform_log import PLATFORM
from warehouse.settings import Settings
from warehouse.words import counted

_AT_A_SERVER: Final = 8
_PLAIN: Final = (".jsonl", ".csv")
_LARGE: Final = 4 * 1024 * 1024


@dataclass
class Survey:
    """What one source has landed and not yet loaded."""

    files: list[Inspected] = field(default_factory=list)
    # Batches that were delivered again, under the same name with the same content.
    repeated: list[Inspected] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    # Files that were written again with the same bytes: the ledger should know their new stamp.
    rewritten: list[LandedFile] = field(default_factory=list)
    # Entities without a contract.
    uncontracted: set[str] = field(default_factory=set)


def pending(
    settings: Settings,
    connection: Connection,
    sources: Collection[str] | None = None,
) -> dict[str, list[str]]:
    """By source, the files that the next load will look at."""
    landing, waiting = Landing(settings), {}
    aside = files_aside(settings, connection, has_ledger=has_ledger(connection))
    for source, entities in read_contracts(settings).items():
        if sources is not None and source not in sources:
            continue
        known = known_files(connection, source) if has_ledger(connection) else {}
        files = [
            file
            for file in landing.files(source)
            if file.entity in entities and _is_news(file, known.get(file.path))
        ]
        waiting[source] = [
            file.path
            for file in sorted(files, key=lambda f: f.landing_order)
            if file.path not in aside
        ]
    return waiting


def reasons_to_load(
    settings: Settings, connection: Connection, sources: Collection[str]
) -> dict[str, str]:
    """By source, what a load of it would find to do; a source that has nothing is not there."""
    if not has_ledger(connection):
        return dict.fromkeys(sources, "nothing of it was loaded yet")
    found = {
        source: f"{counted(len(files), 'file')} to be loaded"
        for source, files in pending(settings, connection, sources).items()
        if files
    }
    gone = files_aside(settings, connection, has_ledger=True) - set_aside_files(connection)
    for source in sources:
        if any(path.startswith(f"{source}/") for path in gone):
            found.setdefault(source, "a file of it was set aside")
        if has_other_contract(settings, connection, source):
            found.setdefault(source, "its contract has changed")
    return found


def newest_landed(settings: Settings) -> dict[str, tuple[str, ...]]:
    """By source, the newest file of each entity: news without a database.

    Each run writes into the platform log, so that it would always be news.
    """
    landing = Landing(settings)
    newest = {
        source: landing.newest(source) for source in read_contracts(settings) if source != PLATFORM
    }
    return {source: files for source, files in newest.items() if files}


def has_ledger(connection: Connection) -> bool:
    [[tables]] = connection.execute(
        """select count(*) from information_schema.tables
           where table_catalog = current_database() and table_schema = ?""",
        [str(SCHEMA)],
    ).fetchall()
    return bool(tables)


def survey(
    connection: Connection,
    landing: Landing,
    contracts: Mapping[str, Contract],
    source: str,
) -> Survey:
    """Look at every file that the ledger does not know; nothing is loaded yet."""
    known, aside = known_files(connection, source), set_aside_files(connection)
    found = Survey()
    news = []
    for file in landing.files(source):
        if file.path in aside:
            continue
        if file.entity not in contracts:
            found.uncontracted.add(file.entity)
        elif _is_news(file, known.get(file.path)):
            news.append(file)
    names, gone = _names_of(known), _gone(known)
    news.sort(key=lambda f: (*f.landing_order, f.entity))
    unknown = [file for file in news if file.path not in known]
    inspected = dict(zip(unknown, _inspected(landing, contracts, unknown), strict=True))
    for file in news:
        earlier = known.get(file.path)
        if earlier is None:
            _judge(landing, found, names, gone, inspected[file])
        elif content_hash(landing, file, earlier.content_hash) == earlier.content_hash:
            found.rewritten.append(file)
        else:
            found.refused.append(_changed(file))
    return found


def survey_again(
    landing: Landing,
    contracts: Mapping[str, Contract],
    source: str,
    known: Mapping[str, Known],
    aside: frozenset[str],
    staying: frozenset[str] = frozenset(),
) -> Survey:
    """Look at everything that a source ever landed, in the order in which it was loaded.

    What is `staying` in raw is not in landing any more; it is known when it is delivered again.
    """
    found, gone = Survey(), _gone(known)
    held = {path for path in staying if path in known and known[path].status == LOADED}
    names = _names_of({path: known[path] for path in gone | held})
    files = [
        file
        for file in landing.files(source)
        if file.entity in contracts and file.path not in aside
    ]
    files.sort(key=lambda f: (*_loading_order(f, known), f.entity))
    for result in _inspected(landing, contracts, files):
        _judge(landing, found, names, gone, result)
    return found


def _inspected(
    landing: Landing, contracts: Mapping[str, Contract], files: Sequence[LandedFile]
) -> list[Inspected | Refusal]:
    """In parts, for to change places takes longer than to look at a small file."""
    workers = _workers(landing, files)
    size = len(files) // (8 * workers) + 1
    with ThreadPoolExecutor(workers) as pool:
        parts = pool.map(
            lambda start: [
                inspect(landing, contracts[file.entity], file)
                for file in files[start : start + size]
            ],
            range(0, len(files), size),
        )
        return [each for part in parts for each in part]


def _workers(landing: Landing, files: Sequence[LandedFile]) -> int:
    """Whoever waits for a server, or hashes for long, leaves Python to the others meanwhile."""
    if not landing.is_local:
        return _AT_A_SERVER
    takes_long = any(file.size > _LARGE or not file.name.endswith(_PLAIN) for file in files)
    return (os.cpu_count() or 1) if takes_long else 1


def _loading_order(file: LandedFile, known: Mapping[str, Known]) -> tuple[float, str, str]:
    earlier = known.get(file.path)
    return (float(earlier.batch_id) if earlier else float("inf"), *file.landing_order)


def _is_news(file: LandedFile, earlier: Known | None) -> bool:
    return earlier is None or file.size != earlier.size or file.stamp != earlier.stamp


_Names = dict[tuple[str, str], tuple[str, str]]
"""By entity and batch name: the file that first had it, and its content's hash."""


def _names_of(known: Mapping[str, Known]) -> _Names:
    names: _Names = {}
    for path, file in sorted(known.items(), key=lambda item: item[1].batch_id):
        names.setdefault((file.entity, path.rsplit("/", 1)[-1]), (path, file.content_hash))
    return names


def _gone(known: Mapping[str, Known]) -> frozenset[str]:
    return frozenset(path for path, file in known.items() if file.status == WITHDRAWN)


def _judge(
    landing: Landing,
    found: Survey,
    names: _Names,
    gone: frozenset[str],
    result: Inspected | Refusal,
) -> None:
    if isinstance(result, Refusal):
        found.refused.append(result)
        return
    file, digest = result.file, result.content_hash
    first, its_digest = names.setdefault((file.entity, file.name), (file.path, digest))
    if first == file.path:
        found.files.append(result)
    elif not _is_same(landing, result, its_digest):
        found.refused.append(_namesake(file, first))
    elif first in gone:
        found.refused.append(_withdrawn(file, first))
    else:
        found.repeated.append(replace(result, content_hash=its_digest))


def _is_same(landing: Landing, result: Inspected, its_digest: str) -> bool:
    digest = result.content_hash
    if digest == its_digest or is_made_alike(digest, its_digest):
        return digest == its_digest
    return content_hash(landing, result.file, its_digest) == its_digest


def _namesake(file: LandedFile, earlier: str) -> Refusal:
    reason = f"A batch of this name was received before, with other content: {earlier}."
    return Refusal(
        file.path,
        reason,
        "A batch's name is its identity. If this one is right, have it sent under a new name; "
        f"set this file aside: {passing_by(file.path, reason)}",
    )


def _withdrawn(file: LandedFile, earlier: str) -> Refusal:
    reason = f"It is the batch {earlier} again, which was loaded and set aside since."
    return Refusal(
        file.path,
        reason,
        "If it is right after all, have it sent under a new name; "
        f"set this file aside: {passing_by(file.path, reason)}",
    )


def _changed(file: LandedFile) -> Refusal:
    return Refusal(
        file.path,
        "It was loaded before and has other content now; a landed file never changes.",
        "Put the original back and send the new content under a new name; or, if what is there "
        f"now is the truth, take it in with `sluice replay {file.source}`.",
    )
