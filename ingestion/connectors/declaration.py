"""What `meta.connector` of a source's YAML may say, read strictly."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingestion.connectors.references import references, resolved, unset
from ingestion.contracts import Contract, contracts_dir, read_contracts
from warehouse.errors import ContractError
from warehouse.settings import Settings

Received = Literal["csv", "tsv", "json", "jsonl", "parquet", "excel"]


class Words(BaseModel):
    """A part of a declaration: only these keys, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Retries(Words):
    """How often a request is tried again, and how long to wait before it."""

    attempts: int = Field(6, ge=1, le=20)
    first_seconds: float = Field(1.0, gt=0)
    longest_seconds: float = Field(60.0, gt=0)


class FilesEntity(Words):
    """Which files of the drop are this entity's, and how to read them."""

    pattern: str
    format: Received | None = None
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    skip_rows: int = Field(0, ge=0)


class FilesSource(Words):
    """A folder into which somebody drops files: local, S3-compatible, SFTP (any fsspec URL)."""

    kind: Literal["files"]
    url: str
    options: dict[str, Any] = {}
    # Of an SFTP server, as known_hosts has it: "ssh-ed25519 AAAA…".
    host_key: str = ""
    # {name}: the file's own name. Without a marker a file is whole when it no longer changes.
    marker: str = ""
    settle_seconds: float = Field(2.0, ge=0)
    redelivered: Literal["take", "refuse"] = "take"


class Paginate(Words):
    """How the API cuts a list into pages."""

    kind: Literal["single", "page", "offset", "cursor", "link_header", "next_url"]
    # page, offset and cursor: the parameter that asks for the next page.
    param: str = ""
    first: int = 1
    limit: int = Field(0, ge=0)
    limit_param: str = "limit"
    # cursor, next_url: where the answer names the next page (a.b.c); page: how many there are.
    path: str = ""
    # Pages and offsets shift while rows change: read again until a pass brings nothing new.
    read_again: bool = True


class Auth(Words):
    """Who we are to the API."""

    kind: Literal["bearer", "api_key", "basic", "oauth2"]
    token: str = ""
    name: str = "X-Api-Key"
    value: str = ""
    place: Literal["header", "query"] = "header"
    username: str = ""
    password: str = ""
    token_url: str = ""
    client_id: str = ""
    client_secret: str = ""
    scope: str = ""


class Incremental(Words):
    """Only what changed: the highest `field` of the rows so far is asked for as `param`."""

    field: str
    param: str
    initial: str = ""
    # Asked for again each time, for rows that appear late; duplicates are dropped.
    overlap_seconds: float = Field(0.0, ge=0)


class RestEntity(Words):
    """One list of the API."""

    path: str
    params: dict[str, str | int | float | bool] = {}
    # Where the answer holds the rows (a.b.c); without it the answer is the list.
    rows: str = ""
    paginate: Paginate | None = None
    incremental: Incremental | None = None


class RestSource(Words):
    """An HTTP API that lists rows as JSON."""

    kind: Literal["rest"]
    url: str
    auth: Auth | None = None
    headers: dict[str, str] = {}
    paginate: Paginate = Paginate(kind="single")
    timeout_seconds: float = Field(30.0, gt=0)
    retries: Retries = Retries()


class PostgresEntity(Words):
    """One table of the database."""

    table: str


class PostgresSource(Words):
    """Change capture: a snapshot, then every change, through a replication slot."""

    kind: Literal["postgres"]
    url: str
    slot: str = ""
    publication: str = ""
    changes_a_batch: int = Field(100_000, ge=1)
    rows_a_file: int = Field(500_000, ge=1)
    # WAL that the slot holds back: above the first an alarm, above the second the slot is dropped.
    alarm_bytes: int = Field(1024**3, ge=1)
    drop_slot_bytes: int = Field(0, ge=0)
    lost_slot: Literal["stop", "snapshot"] = "stop"


class SqlEntity(Words):
    """A table or a query of the database, whole or from a cursor on."""

    table: str = ""
    query: str = ""
    cursor: str = ""
    # Asked for again each time, for rows that are committed late; duplicates are dropped.
    overlap_seconds: float = Field(0.0, ge=0)


class SqlSource(Words):
    """Any database that SQLAlchemy speaks, asked now and then."""

    kind: Literal["sql"]
    url: str


class EventWords(Words):
    """One kind of event: what its properties must have."""

    required: list[str] = []
    properties: dict[str, Literal["string", "number", "integer", "boolean", "object", "array"]] = {}


class CollectorEntity(Words):
    """Where accepted events land."""

    # The contract's columns out of a Segment-style call; a.b.c reaches into objects.
    columns: dict[str, str] = {}


class CollectorSource(Words):
    """An HTTP server of our own that takes events (`sluice collect`)."""

    kind: Literal["collector"]
    # By the name of the client.
    write_keys: dict[str, str]
    taxonomy: str = "event_taxonomy"
    events: dict[str, EventWords] = {}
    # How calls without an event of their own are called.
    names: dict[Literal["page", "identify", "group", "screen"], str] = {}
    max_body_bytes: int = Field(1024 * 1024, ge=1024)
    max_event_bytes: int = Field(32 * 1024, ge=256)
    max_waiting_bytes: int = Field(64 * 1024 * 1024, ge=1024)
    rotate_bytes: int = Field(64 * 1024 * 1024, ge=1)
    rotate_seconds: float = Field(60.0, gt=0)


Source = Annotated[
    FilesSource | RestSource | PostgresSource | SqlSource | CollectorSource,
    Field(discriminator="kind"),
]
Entity = FilesEntity | RestEntity | PostgresEntity | SqlEntity | CollectorEntity
_ENTITIES: Mapping[str, type[Words]] = {
    "files": FilesEntity,
    "rest": RestEntity,
    "postgres": PostgresEntity,
    "sql": SqlEntity,
    "collector": CollectorEntity,
}
_SOURCES: Mapping[str, type[Words]] = {
    "files": FilesSource,
    "rest": RestSource,
    "postgres": PostgresSource,
    "sql": SqlSource,
    "collector": CollectorSource,
}
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
        return unset(self._raw())

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
        document = yaml.load(path.read_text(encoding="utf-8"), _LOADER) or {}
        for node in document.get("sources") or []:
            declared = _meta(node).get("connector")
            if declared is not None:
                source = str(node["name"])
                found[source] = _connector(path, node, declared, contracts[source])
    return found


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _connector(
    path: Path, node: Mapping[str, Any], declared: Any, contracts: Mapping[str, Contract]
) -> Connector:
    source = str(node["name"])
    where = f"{path.name}: source {source}: connector"
    kind = str(declared.get("kind")) if isinstance(declared, dict) else ""
    if kind not in _SOURCES:
        raise _error(where, f"`kind: {kind}` is no kind{_nearest(kind, _SOURCES)}")
    entities = {}
    for table in node.get("tables") or []:
        name, its = str(table["name"]), _meta(table).get("connector")
        if its is None and kind == "collector":
            its = {}
        if its is not None:
            entities[name] = _parsed(
                _ENTITIES[kind], its, f"{path.name}: table {source}.{name}: connector"
            )
    if not entities:
        raise _error(where, "none of its tables says how it comes in (`connector` in its meta)")
    connector = Connector(
        source, path.name, _parsed(_SOURCES[kind], declared, where), entities, contracts
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
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean `{near[0]}`?" if near else f" (known: {', '.join(known)})"


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict((node.get("config") or {}).get("meta") or node.get("meta") or {})


def _error(where: str, fault: str) -> ContractError:
    return ContractError(
        f"{where}: {fault.rstrip('.?')}{'?' if fault.endswith('?') else '.'}",
        remedy="Correct it in dbt_project/models/raw; docs/guides/sources.md has every key.",
    )
