"""Everything that a source's YAML promises: to the loader, and to those who read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from ingestion.contracts import Contract, Node, contract_of, meta_of, tables_in
from warehouse.errors import ContractError

_DOC: Final = re.compile(r"\{%-?\s*docs\s+(\w+)\s*-?%\}(.*?)\{%-?\s*enddocs\s*-?%\}", re.S)
_DOC_CALL: Final = re.compile(r"""^\{\{\s*doc\(['"](\w+)['"]\)\s*\}\}$""")


@dataclass(frozen=True)
class PromisedColumn:
    """A column, as the loader and as the readers know it."""

    name: str
    data_type: str
    is_required: bool = False
    aliases: tuple[str, ...] = ()
    classification: str = "internal"
    # Of a JSON object: the fields that are classified otherwise than the whole.
    fields: tuple[tuple[str, str], ...] = ()
    # From this day on it may be dropped.
    deprecated_on: date | None = None
    description: str = ""


@dataclass(frozen=True)
class Promise:
    """One entity of a source."""

    contract: Contract
    columns: tuple[PromisedColumn, ...]
    owner: str = ""
    tier: int | None = None
    classification: str = "internal"
    change_log: bool = False
    freshness_hours: float | None = None
    description: str = ""
    source_description: str = ""

    @property
    def name(self) -> str:
        return self.contract.name


Promises = Mapping[str, Promise]
"""By the name of the entity, as in `crm.leads`."""


def promises_of(texts: Mapping[str, str]) -> Promises:
    """By file, its text: YAML that holds sources, Markdown that holds dbt's doc blocks."""
    docs = dict(block for name, text in texts.items() if name.endswith(".md")
                for block in _doc_blocks(text))  # fmt: skip
    found: dict[str, Promise] = {}
    for name, text in texts.items():
        if not name.endswith((".yml", ".yaml")):
            continue
        for source, table in tables_in(text, name):
            promise = _promise(name, source, table, docs)
            found[promise.name] = promise
    return found


def read_promises(place: Path) -> Promises:
    """Those of a folder, or of one file (with the doc blocks that lie beside it)."""
    if not place.exists():
        raise ContractError(
            f"There is no contract at {place}.", remedy="Name a source YAML, or a folder of them."
        )
    folder = place if place.is_dir() else place.parent
    files = [*folder.glob("*.md"), *(folder.glob("*.yml") if place.is_dir() else [place])]
    return promises_of({str(path): text_of(path) for path in sorted(files)})


def text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ContractError(
            f"{path} is no text in UTF-8: {error.reason}.", remedy="Name a YAML file."
        ) from error


def by_source(promises: Promises) -> Mapping[str, tuple[Promise, ...]]:
    found: dict[str, tuple[Promise, ...]] = {}
    for each in promises.values():
        source = each.contract.source
        found[source] = (*found.get(source, ()), each)
    return found


def _doc_blocks(text: str) -> Iterable[tuple[str, str]]:
    return ((name, block.strip()) for name, block in _DOC.findall(text))


def _promise(file: str, source: Node, table: Node, docs: Mapping[str, str]) -> Promise:
    contract = contract_of(Path(file).name, source, table)
    meta = meta_of(source) | meta_of(table)
    classification = str(meta.get("classification", "internal"))
    hours = (meta.get("service_level") or {}).get("freshness_hours")
    return Promise(
        contract=contract,
        columns=tuple(
            _column(f"{Path(file).name}: {contract.name}", node, classification, docs)
            for node in table.get("columns") or []
        ),
        owner=str(meta.get("owner", "")),
        tier=None if meta.get("tier") is None else int(meta["tier"]),
        classification=classification,
        change_log=bool(meta.get("change_log", False)),
        freshness_hours=None if hours is None else float(hours),
        description=_described(table, docs),
        source_description=_described(source, docs),
    )


def _column(where: str, node: Node, classification: str, docs: Mapping[str, str]) -> PromisedColumn:
    meta = meta_of(node)
    return PromisedColumn(
        name=str(node["name"]),
        data_type=str(node["data_type"]).lower().replace(" ", ""),
        is_required=bool(meta.get("required", False)),
        aliases=tuple(str(alias) for alias in meta.get("aliases") or ()),
        classification=str(meta.get("classification", classification)),
        fields=tuple(sorted((str(k), str(v)) for k, v in (meta.get("fields") or {}).items())),
        deprecated_on=day_of(where, str(node["name"]), meta.get("deprecated_on")),
        description=_described(node, docs),
    )


def _described(node: Node, docs: Mapping[str, str]) -> str:
    text = str(node.get("description") or "").strip()
    called = _DOC_CALL.match(text)
    return docs.get(called.group(1), "") if called else text


def day_of(where: str, column: str, value: Any) -> date | None:
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise ContractError(
            f"The contract {where} cannot be used: `deprecated_on` of {column} is no day.",
            remedy='Write it as "2026-12-31".',
        ) from error
