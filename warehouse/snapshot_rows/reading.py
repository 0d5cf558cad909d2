"""Reading what is published on PostgreSQL: the current snapshot, or a kept one, whole.

A reader's session is one `repeatable read` transaction that may only read: it sees one snapshot for
as long as it lasts, whatever is published, rolled back or let go meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

from warehouse import postgres
from warehouse.connection import Connection, EngineError, NoSuchTableError, literal, named
from warehouse.errors import PublishError
from warehouse.postgres import PostgresConnection, placed
from warehouse.published_already import Shown
from warehouse.settings import Settings
from warehouse.snapshot_rows import books, views
from warehouse.snapshot_rows.books import VIEWS
from warehouse.snapshots import Snapshot, gone

TEMPORARY = "pg_temp"


class PublishedSession(PostgresConnection):
    """One snapshot. A statement that fails leaves the session usable, as on DuckDB."""

    as_it_was = False
    """Its tables are views of this session, which stand before those of everybody."""

    def execute(self, query: str, parameters: Any = None) -> Any:
        text = self.meant(placed(query) if parameters else query)
        with self._unharmed(), postgres.translated():
            # Prepared statements are one statement: nothing can be hung on to a question.
            return self.raw.execute(text.encode(), parameters or None, prepare=True)

    def first(self, query: str, count: int) -> tuple[Any, list[Any]]:
        """The columns and so many rows of a question, however many more there are."""
        with (
            self._unharmed(),
            postgres.translated(),
            self.raw.cursor(name="question") as cursor,
        ):
            cursor.execute(self.meant(query).encode())
            return cursor.description, cursor.fetchmany(count)

    @contextmanager
    def _unharmed(self) -> Iterator[None]:
        self.raw.execute("savepoint asked")
        try:
            yield
        except EngineError:
            with suppress(Exception):
                self.raw.execute("rollback to savepoint asked")
            raise

    def meant(self, query: str) -> str:
        """`published.orders` is this environment's, and as it was in a session of the past."""
        return moved(query, TEMPORARY if self.as_it_was else str(VIEWS))


def moved(query: str, place: str) -> str:
    """The query with what it reads from `published` read from another schema."""
    if place == VIEWS.word:
        return query
    from sqlglot import Dialect, TokenType
    from sqlglot.errors import SqlglotError

    try:
        tokens = Dialect.get_or_raise("postgres").tokenize(query)
    except SqlglotError:
        # Then the server will not understand it either, and says why.
        return query
    schema = [
        token
        for token, after in pairwise(tokens)
        if after.token_type == TokenType.DOT
        and token.token_type in (TokenType.VAR, TokenType.IDENTIFIER)
        and (token.text if token.token_type == TokenType.IDENTIFIER else token.text.lower())
        in (VIEWS.word, str(VIEWS))
    ]
    for token in reversed(schema):
        query = query[: token.start] + place + query[token.end + 1 :]
    return query


@contextmanager
def session(settings: Settings) -> Iterator[PostgresConnection]:
    """To look something up in the books."""
    opened = postgres.connect(settings, purpose="sluice published")
    try:
        yield opened
    finally:
        opened.close()


def ids(settings: Settings) -> list[str]:
    with session(settings) as opened:
        return list(books.kept(opened))


def current_id(settings: Settings) -> str | None:
    with session(settings) as opened:
        return _current(opened)


def _current(opened: Connection) -> str | None:
    """As consumers may ask, too: they do not see the books."""
    try:
        row = opened.execute(f"select snapshot_id from {VIEWS}._publish").fetchone()
    except NoSuchTableError:
        return None
    return str(row[0]) if row is not None else None


def kept(settings: Settings) -> tuple[Snapshot, ...]:
    with session(settings) as opened, books.transaction(opened, "isolation level repeatable read"):
        return tuple(books.snapshot(opened, *each) for each in books.kept(opened).items())


def show(settings: Settings, snapshot_id: str) -> Snapshot:
    with session(settings) as opened, books.transaction(opened, "isolation level repeatable read"):
        return books.snapshot(opened, snapshot_id, _number(settings, opened, snapshot_id))


def shown(settings: Settings, snapshot_id: str) -> Shown:
    """The words are the views' own, of whichever snapshot they show."""
    with session(settings) as opened, books.transaction(opened, "isolation level repeatable read"):
        number = _number(settings, opened, snapshot_id)
        return Shown(
            books.snapshot(opened, snapshot_id, number).tables,
            books.versions_of(opened, number),
            views.comments(opened),
        )


def _number(settings: Settings, opened: Connection, snapshot_id: str) -> int:
    known = books.kept(opened)
    if snapshot_id not in known:
        raise gone(snapshot_id, known)
    return known[snapshot_id]


def open_published(
    settings: Settings, snapshot_id: str | None = None, *, clear: bool = False
) -> PublishedSession:
    """As snapshots.open_published: a session that sees one whole snapshot, and changes nothing."""
    if clear:
        raise PublishError(
            "On PostgreSQL a person reads personal columns in clear as themselves, with a role "
            "that may.",
            remedy="docs/guides/rights.md says how; the server keeps who did, and why.",
        )
    opened = PublishedSession(postgres.connect(settings, purpose="sluice reader").raw)
    try:
        opened.raw.execute("begin isolation level repeatable read")
        now = _current(opened)
        if now is None:
            raise PublishError(
                "Nothing is published yet.", remedy="Publish a first snapshot with `sluice run`."
            )
        if snapshot_id not in (None, now):
            _as_it_was(opened, _number(settings, opened, str(snapshot_id)))
        milliseconds = round(settings.query_seconds * 1000)
        opened.raw.execute(f"set local search_path = {VIEWS}")
        opened.raw.execute(f"set local statement_timeout = {milliseconds}")
        opened.raw.execute("set transaction read only")
        opened.raw.execute("set default_transaction_read_only = on")
    except BaseException:
        opened.close()
        raise
    return opened


def _as_it_was(opened: PublishedSession, number: int) -> None:
    """Views of this session alone: they are gone with it, and nobody else waits for them."""
    current = books.current(opened)
    now = books.lives_at(opened, current.number) if current is not None else {}
    for shape in books.lives_at(opened, number).values():
        view = f"{TEMPORARY}.{named(shape.table)}"
        was = views.as_it_was(shape, number, now.get(shape.table))
        opened.raw.execute(f"create view {view} as {was}".encode())
    own = f"from {books.SCHEMA}.{{}} where number = {number}"
    opened.raw.execute(
        f"create view {TEMPORARY}._publish as select snapshot_id, published_at, as_of, run_id "
        f"{own.format('_snapshots')}".encode()
    )
    opened.raw.execute(
        f"create view {TEMPORARY}._snapshot as select {books.STATES} "
        f"{own.format('_states')}".encode()
    )
    opened.as_it_was = True


def tables(opened: Connection) -> tuple[str, ...]:
    """The published tables of a session, by name."""
    was = isinstance(opened, PublishedSession) and opened.as_it_was
    schema = "pg_my_temp_schema()" if was else f"{literal(str(VIEWS))}::regnamespace"
    found = opened.execute(
        f"select relname from pg_class where relkind = 'v' and relnamespace = {schema} order by 1"
    ).fetchall()
    return tuple(str(name) for (name,) in found)
