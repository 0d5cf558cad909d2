"""What the sources promised: the dbt source YAML, read as typed contracts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import yaml

from ingestion.retention.policy import KEEPS_ALL, Retention, said_wrongly
from warehouse.errors import WRONG_USE, ContractError
from warehouse.schemas import IN_YAML, called
from warehouse.settings import Settings
from warehouse.words import did_you_mean

Format = Literal["jsonl", "csv", "parquet"]
OnDrift = Literal["evolve", "quarantine", "freeze"]

FORMATS: Final = ("jsonl", "csv", "parquet")
ON_DRIFT: Final = ("evolve", "quarantine", "freeze")
# Longer lines are set aside: a row of a table has no such size, and it must fit into memory.
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
_SAFE = yaml.SafeLoader
_NAME = re.compile(r"[a-z][a-z0-9_]*")
TYPE = re.compile(r"varchar|bigint|integer|boolean|date|timestamptz|json|decimal\(\d+,\d+\)")
TYPES: Final = "varchar, bigint, integer, boolean, date, timestamptz, json, decimal(18,2)"


@dataclass(frozen=True)
class Column:
    """A column that a source promised."""

    name: str
    data_type: str
    is_required: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Under any of these names it may arrive."""
        return (self.name, *self.aliases)


@dataclass(frozen=True)
class Contract:
    """What one entity of a source promised, and what to do when it breaks the promise."""

    source: str
    entity: str
    schema: str
    format: Format
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    on_drift: OnDrift = "evolve"
    delimiter: str = ","
    max_line_bytes: int = MAX_LINE_BYTES
    retention: Retention = KEEPS_ALL

    @property
    def name(self) -> str:
        return f"{self.source}.{self.entity}"

    @property
    def place(self) -> str:
        """The schema of this environment that holds its rows; `schema` is the same in all."""
        return called(self.schema)

    @property
    def relation(self) -> str:
        return f'"{self.place}"."{self.entity}"'

    @property
    def known_names(self) -> tuple[str, ...]:
        return tuple(name for column in self.columns for name in column.names)

    @property
    def aliases(self) -> Mapping[str, str]:
        return {alias: column.name for column in self.columns for alias in column.aliases}

    @property
    def required(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.is_required)

    def lacking(self, names: frozenset[str]) -> tuple[str, ...]:
        """The required columns that are under none of these names."""
        return tuple(c.name for c in self.required if names.isdisjoint(c.names))

    def unknown(self, names: tuple[str, ...]) -> tuple[str, ...]:
        known = frozenset(self.known_names)
        return tuple(name for name in names if name not in known)

    def column_for(self, name: str) -> str | None:
        """The contract's word for a name that arrived."""
        return next((c.name for c in self.columns if name in c.names), None)


Contracts = Mapping[str, Mapping[str, Contract]]
"""By source, then by entity."""


def contracts_dir(settings: Settings) -> Path:
    return settings.dbt_project_dir / "models" / "raw"


def read_contracts(settings: Settings) -> Contracts:
    return read_contracts_in(contracts_dir(settings))


def contracts_of(settings: Settings, source: str) -> Mapping[str, Contract]:
    """By entity; a source that is unknown is answered with the nearest."""
    known = read_contracts(settings)
    if source not in known:
        raise unknown_source(source, known)
    return known[source]


def unknown_source(source: str, known: Iterable[str]) -> ContractError:
    return ContractError(
        f"There is no contract for the source {source}.{did_you_mean(source, known)}",
        remedy=f"There is one for {', '.join(sorted(known))}; `sluice new source` writes one.",
        exit_code=WRONG_USE,
    )


def read_contracts_in(folder: Path) -> Contracts:
    """Every source of every YAML file in this folder."""
    contracts: dict[str, dict[str, Contract]] = {}
    for path in sorted(folder.glob("*.yml")):
        info = path.stat()
        for contract in _contracts(path, info.st_mtime_ns, info.st_size):
            contracts.setdefault(contract.source, {})[contract.entity] = contract
    return contracts


@lru_cache(maxsize=256)
def _contracts(path: Path, _modified: int, _size: int) -> tuple[Contract, ...]:
    """Read once while the file stays as it is: a load asks for its contract many times."""
    return tuple(
        contract_of(path.name, source, table)
        for source, table in tables_in(path.read_text(encoding="utf-8"), str(path))
    )


Node = Mapping[str, Any]


def tables_in(text: str, name: str) -> Iterator[tuple[Node, Node]]:
    """Each source with each of its tables; `name` says in messages whose text it is."""
    try:
        # The loader in C reads the same, ten times faster.
        document = yaml.load(text, getattr(yaml, "CSafeLoader", _SAFE))
    except yaml.YAMLError as error:
        raise ContractError(
            f"The contract {name} is not valid YAML: {error}", remedy="Correct the file."
        ) from error
    sources = document.get("sources") if isinstance(document, dict) else None
    for source in _named(sources, name, "sources"):
        for table in _named(source.get("tables"), name, "tables"):
            yield source, table


def _named(nodes: Any, where: str, what: str) -> list[Node]:
    """A list of things that have a name each, or nothing."""
    listed = nodes or []
    is_shaped = isinstance(listed, list) and all(
        isinstance(n, dict) and "name" in n for n in listed
    )
    _require(is_shaped, where, f"its {what} are no list of things that have a `name`")
    return list(listed)


def meta_of(node: Mapping[str, Any]) -> dict[str, Any]:
    meta = (node.get("config") or {}).get("meta") or node.get("meta") or {}
    return dict(meta)


def contract_of(file: str, source: Node, table: Node) -> Contract:
    source_name, entity = str(source["name"]), str(table["name"])
    where = f"{file}: {source_name}.{entity}"
    meta = meta_of(source) | meta_of(table)
    columns = tuple(
        _column(where, column) for column in _named(table.get("columns"), where, "columns")
    )
    schema = str(source.get("schema") or f"raw_{source_name}")
    _require(
        schema.startswith(IN_YAML) or not called(""),
        where,
        f"its `schema:` must begin with {IN_YAML}, for this environment has a prefix",
    )
    keeps = [meta_of(each).get("retention") or {} for each in (source, table)]
    fault = next(filter(None, (said_wrongly(source_name, each) for each in keeps)), "")
    _require(not fault, where, fault)
    contract = Contract(
        source=source_name,
        entity=entity,
        schema=schema.removeprefix(IN_YAML),
        format=meta.get("format", "jsonl"),
        columns=columns,
        key=tuple(meta.get("key") or ()),
        on_drift=meta.get("on_drift", "evolve"),
        delimiter=str(meta.get("delimiter", ",")),
        max_line_bytes=int(meta.get("max_line_bytes", MAX_LINE_BYTES)),
        retention=Retention(**keeps[0] | keeps[1], is_on_wall_clock=meta.get("clock") == "wall"),
    )
    _require(bool(columns), where, "it has no columns")
    for name, said, known in (
        ("format", contract.format, FORMATS),
        ("on_drift", contract.on_drift, ON_DRIFT),
    ):
        _require(said in known, where, f"{name} {said!r} is none of {', '.join(known)}")
    names = contract.known_names
    _require(len(names) == len(set(names)), where, "a column name or alias stands twice")
    lost = [name for name in contract.key if name not in {c.name for c in columns}]
    _require(not lost, where, f"the key names {', '.join(lost)}, which is no column")
    return contract


def _column(where: str, node: Mapping[str, Any]) -> Column:
    name, data_type = str(node["name"]), str(node.get("data_type", "")).lower().replace(" ", "")
    _require(bool(_NAME.fullmatch(name)), where, f"{name!r} is no usable column name")
    _require(
        bool(TYPE.fullmatch(data_type)),
        where,
        f"column {name} has the data_type {data_type!r}, which is none of {TYPES}",
    )
    meta = meta_of(node)
    return Column(
        name=name,
        data_type=data_type,
        is_required=bool(meta.get("required", False)),
        aliases=tuple(str(alias) for alias in meta.get("aliases") or ()),
    )


def _require(holds: bool, where: str, fault: str) -> None:
    if not holds:
        file = where.partition(":")[0]
        raise ContractError(
            f"The contract {where} cannot be used: {fault}.",
            remedy=f"Correct dbt_project/models/raw/{file}; app.yml says what each key means.",
        )
