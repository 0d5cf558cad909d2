"""What `meta.connector` of a source's YAML says, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from ingestion.connectors.references import references, resolved, unset
from ingestion.connectors.words import ENTITIES, SOURCES, Words
from ingestion.contracts import Contract, contracts_dir, read_contracts
from warehouse.errors import ContractError
from warehouse.settings import Settings
from warehouse.words import nearest

Any_ = TypeVar("Any_", bound=Words)


@dataclass(frozen=True)
class Connector:
    """How one source comes in; references are not resolved yet."""

    source: str
    file: str
    declared: Words
    entities: Mapping[str, Words]
    contracts: Mapping[str, Contract]

    @property
    def kind(self) -> str:
        return str(getattr(self.declared, "kind", ""))

    @property
    def missing(self) -> list[str]:
        """Variables and files that are referred to and not there: the connector sleeps."""
        return sorted(set(unset(self._raw())))

    @property
    def is_awake(self) -> bool:
        return not self.missing

    @property
    def secrets(self) -> object:
        """What may not stand in any message."""
        return self._raw()

    def source_as(self, kind: type[Any_]) -> Any_:
        """The declaration with its references resolved."""
        return kind.model_validate(resolved(self.declared.model_dump(), self.source))

    def entities_as(self, kind: type[Any_]) -> Mapping[str, Any_]:
        return {
            name: kind.model_validate(resolved(each.model_dump(), f"{self.source}.{name}"))
            for name, each in self.entities.items()
        }

    def _raw(self) -> list[object]:
        return [self.declared.model_dump(), *(each.model_dump() for each in self.entities.values())]


def read_connectors(settings: Settings) -> Mapping[str, Connector]:
    """Every source whose YAML says how it comes in."""
    contracts, found = read_contracts(settings), dict[str, Connector]()
    for path in sorted(contracts_dir(settings).glob("*.yml")):
        info = path.stat()
        for node in _sources(path, info.st_mtime_ns, info.st_size):
            declared = _meta(node).get("connector")
            if declared is not None:
                source = str(node["name"])
                found[source] = _connector(path, node, declared, contracts[source])
    return found


@lru_cache(maxsize=64)
def _sources(path: Path, _modified: int, _size: int) -> tuple[Mapping[str, Any], ...]:
    """Read once while the file stays as it is."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load(path.read_text(encoding="utf-8"), loader) or {}
    return tuple(document.get("sources") or ())


def _connector(
    path: Path, node: Mapping[str, Any], declared: Any, contracts: Mapping[str, Contract]
) -> Connector:
    source = str(node["name"])
    where = f"{path.name}: source {source}: connector"
    kind = str(declared.get("kind")) if isinstance(declared, dict) else ""
    if kind not in SOURCES:
        raise _error(where, f"`kind: {kind}` is no kind{_nearest(kind, SOURCES)}")
    entities = {}
    for table in node.get("tables") or []:
        name, its = str(table["name"]), _meta(table).get("connector")
        if its is None and kind == "collector":
            its = {}
        if its is not None:
            entities[name] = _parsed(
                ENTITIES[kind], its, f"{path.name}: table {source}.{name}: connector"
            )
    if not entities:
        raise _error(where, "none of its tables says how it comes in (`connector` in its meta)")
    connector = Connector(
        source, path.name, _parsed(SOURCES[kind], declared, where), entities, contracts
    )
    for _, name in references(connector.secrets):
        if not name:
            raise _error(where, "a reference ${…} has no name")
    return connector


def _parsed(kind: type[Any_], value: Any, where: str) -> Any_:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            word, known = str(first["loc"][-1]), _words(kind, first["loc"][:-1])
            raise _error(where, f"`{place}` is no key of it{_nearest(word, known)}") from error
        raise _error(where, f"`{place}`: {first['msg']}") from error


def _words(kind: type[Words], path: tuple[int | str, ...]) -> list[str]:
    """The keys that are known at this place."""
    for part in path:
        field = kind.model_fields.get(str(part))
        inner = _model_in(field.annotation) if field is not None else None
        if inner is None:
            # A name that the user chose: what follows it is as before.
            continue
        kind = inner
    return list(kind.model_fields)


def _model_in(annotation: Any) -> type[Words] | None:
    if isinstance(annotation, type) and issubclass(annotation, Words):
        return annotation
    for each in getattr(annotation, "__args__", ()):
        found = _model_in(each)
        if found is not None:
            return found
    return None


def _nearest(word: str, known: Any) -> str:
    near = nearest(word, known)
    return f"; did you mean `{near[0]}`?" if near else f" (known: {', '.join(known)})"


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict((node.get("config") or {}).get("meta") or node.get("meta") or {})


def _error(where: str, fault: str) -> ContractError:
    return ContractError(
        f"{where}: {fault.rstrip('.?')}{'?' if fault.endswith('?') else '.'}",
        remedy="Correct it in dbt_project/models/raw; docs/guides/sources.md has every key.",
    )
