"""A source YAML proposed from an Open Data Contract Standard document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from catalog.classification import LEVELS, PERSONAL
from ingestion.contracting import odcs
from ingestion.contracting.promises import Promise, PromisedColumn, day_of, promises_of
from ingestion.contracting.source_yaml import written
from ingestion.contracts import FORMATS, MAX_LINE_BYTES, TYPE, Contract
from warehouse.errors import ContractError

Node = Mapping[str, Any]

TYPES: Final = {
    "string": "varchar",
    "integer": "bigint",
    "boolean": "boolean",
    "date": "date",
    "timestamp": "timestamptz",
    "time": "varchar",
    "object": "json",
    "array": "json",
    "map": "json",
    "vector": "json",
    # No more digits are compared by the loader; a document that says how many is followed.
    "number": "decimal(38,9)",
}
HOURS: Final = {"h": 1.0, "hr": 1.0, "hour": 1.0, "hours": 1.0, "d": 24.0, "day": 24.0,
                "days": 24.0, "m": 1 / 60, "min": 1 / 60, "minutes": 1 / 60}  # fmt: skip
FRESHNESS: Final = ("freshness", "latency", "ly")
_DECIMAL: Final = re.compile(r"(?:decimal|numeric|number)\((\d+),(\d+)\)")
UNREAD: Final = {
    "servers": "how the data is fetched is declared as `connector`",
    "roles": "who may read is declared in the policy",
    "price": "there is no word for it here",
    "support": "there is no word for it here",
}


@dataclass
class Proposal:
    """The YAML of a source, and what of the document it could not say."""

    source: str
    text: str
    notes: list[str] = field(default_factory=list)


def proposed(text: str, name: str) -> Proposal:
    """Read one document; `name` says in messages whose text it is."""
    document = _document(text, name)
    source = _snake(str(document.get("name") or document.get("id") or ""))
    if not source:
        raise ContractError(
            f"{name} has neither a name nor an id of its contract.",
            remedy="Give it a `name`: the source is called so.",
        )
    notes = [f"`{key}` is left out: {why}." for key, why in UNREAD.items() if document.get(key)]
    try:
        promises = [_table(document, node, source, notes) for node in document.get("schema") or []]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ContractError(
            f"{name} is not shaped as the standard says: {error}.",
            remedy="Hold it against the standard's own JSON schema.",
        ) from error
    if not promises:
        raise ContractError(
            f"{name} describes no table.", remedy="Its `schema` lists them: see the standard."
        )
    if not promises[0].owner:
        notes.append("Nobody is named as `team`: write the `owner` before you merge it.")
    proposal = Proposal(source, written(promises), notes)
    promises_of({f"{source}.yml": proposal.text})  # It holds what a contract must hold.
    return proposal


def _document(text: str, name: str) -> Node:
    try:
        document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ContractError(f"{name} is not valid YAML: {error}", remedy="Correct it.") from error
    kind = document.get("kind") if isinstance(document, dict) else None
    version = str(document.get("apiVersion", "")) if isinstance(document, dict) else ""
    if kind != "DataContract" or not version.startswith("v3."):
        raise ContractError(
            f"{name} is no Open Data Contract Standard document of version 3.",
            remedy="It begins with `apiVersion: v3.…` and `kind: DataContract`.",
        )
    return dict(document)


def _table(document: Node, node: Node, source: str, notes: list[str]) -> Promise:
    custom, entity = odcs.custom_of(node), _snake(str(node.get("name") or ""))
    nodes = [each for each in node.get("properties") or [] if each.get("name")]
    levels = Counter(e["classification"] for e in nodes if e.get("classification") in LEVELS)
    common = levels.most_common(1)[0][0] if levels else "internal"
    classification = str(custom.get(odcs.CLASSIFICATION, common))
    columns = tuple(_column(entity, each, classification, notes) for each in nodes)
    keyed = [
        (int(each.get("primaryKeyPosition") or place), column.name)
        for place, (each, column) in enumerate(zip(nodes, columns, strict=True), 1)
        if each.get("primaryKey")
    ]
    if node.get("quality"):
        notes.append(f"`quality` of {entity} is left out: write Soda checks (quality/checks/raw).")
    tier = odcs.custom_of(document).get(odcs.TIER)
    return Promise(
        contract=Contract(
            source=source,
            entity=entity,
            schema=f"raw_{source}",
            format=_format(document, custom, entity, notes),
            columns=(),
            key=tuple(name for _, name in sorted(keyed)),
            on_drift=custom.get(odcs.ON_DRIFT, "evolve"),
            delimiter=str(custom.get(odcs.DELIMITER) or _of_server(document, "delimiter") or ","),
            max_line_bytes=int(custom.get(odcs.MAX_LINE, MAX_LINE_BYTES)),
        ),
        columns=columns,
        owner=_team(document),
        tier=None if tier is None else int(tier),
        classification=classification,
        change_log=bool(custom.get(odcs.CHANGE_LOG, False)),
        freshness_hours=_freshness(document, str(node.get("name"))),
        description=str(node.get("description") or "").strip(),
        source_description=str((document.get("description") or {}).get("purpose") or "").strip(),
    )


def _column(entity: str, node: Node, classification: str, notes: list[str]) -> PromisedColumn:
    given, custom = str(node["name"]), odcs.custom_of(node)
    name = _snake(given)
    where, fields = f"{entity}.{name}", _fields(node, custom)
    # It arrives under the names that the document gives it.
    names = [given, str(node.get("physicalName") or given), *(custom.get(odcs.ALIASES) or ())]
    return PromisedColumn(
        name=name,
        data_type=_type(where, node, notes),
        is_required=bool(node.get("required", False)),
        aliases=tuple(dict.fromkeys(str(each) for each in names if each != name)),
        classification=_level(where, node.get("classification") or classification, notes),
        fields=tuple(sorted((f, _level(f"{where}.{f}", level, notes)) for f, level in fields)),
        deprecated_on=day_of(entity, name, custom.get(odcs.DEPRECATED_ON)),
        description=str(node.get("description") or "").strip(),
    )


def _level(where: str, level: object, notes: list[str]) -> str:
    if level in LEVELS:
        return str(level)
    notes.append(
        f"{where} is classified `{level}`, which is no word here: {PERSONAL}, the highest."
    )
    return PERSONAL


def _fields(node: Node, custom: Node) -> Iterator[tuple[str, str]]:
    yield from (custom.get(odcs.FIELDS) or {}).items()
    for each in node.get("properties") or ():
        if each.get("classification"):
            yield str(each["name"]), str(each["classification"])


def _type(where: str, node: Node, notes: list[str]) -> str:
    physical = str(node.get("physicalType") or "").lower().replace(" ", "")
    if TYPE.fullmatch(physical):
        return physical
    digits = _DECIMAL.fullmatch(physical)
    if digits:
        return f"decimal({digits.group(1)},{digits.group(2)})"
    logical = str(node.get("logicalType") or "")
    if logical not in TYPES:
        notes.append(f"{where} has no type that is known here: it is taken as text.")
    elif logical == "number":
        notes.append(f"{where} does not say how many digits it has: {TYPES[logical]}.")
    return TYPES.get(logical, "varchar")


def _format(document: Node, custom: Node, entity: str, notes: list[str]) -> Any:
    told = str(custom.get(odcs.FORMAT) or _of_server(document, "format") or "")
    found = {"json": "jsonl", "ndjson": "jsonl"}.get(told, told)
    if found in FORMATS:
        return found
    notes.append(f"How files of {entity} arrive is not said: jsonl is assumed.")
    return "jsonl"


def _of_server(document: Node, key: str) -> Any:
    return next((each[key] for each in document.get("servers") or () if each.get(key)), None)


def _team(document: Node) -> str:
    team = document.get("team")
    if isinstance(team, list):
        return next((str(e.get("name") or e.get("username") or "") for e in team), "")
    return str((team or {}).get("name") or "")


def _freshness(document: Node, table: str) -> float | None:
    for each in document.get("slaProperties") or ():
        elements = [part.strip() for part in str(each.get("element") or table).split(",")]
        unit = HOURS.get(str(each.get("unit") or "h").lower())
        meant = any(part.split(".")[0] == table for part in elements)
        if str(each.get("property")).lower() in FRESHNESS and meant and unit is not None:
            return round(float(each["value"]) * unit, 4)
    return None


def _snake(name: str) -> str:
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    found = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
    return f"c_{found}" if found[:1].isdigit() else found
