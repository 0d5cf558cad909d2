"""The words of `meta.connector`: what each kind of source and of entity may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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


SOURCES: Mapping[str, type[Words]] = {
    "files": FilesSource,
    "rest": RestSource,
    "postgres": PostgresSource,
    "sql": SqlSource,
    "collector": CollectorSource,
}
ENTITIES: Mapping[str, type[Words]] = {
    "files": FilesEntity,
    "rest": RestEntity,
    "postgres": PostgresEntity,
    "sql": SqlEntity,
    "collector": CollectorEntity,
}
