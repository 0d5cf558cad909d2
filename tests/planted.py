"""Secrets that are planted, and a search for them in everything that was written or said."""

from __future__ import annotations

import base64
import json
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, quote_plus

import psycopg
from postgres_server import PostgresServer

PASSWORD = "S3cret/p@ss:w%rd'\"&ü+x"
WRONG = "wr0ng-Passw%rd/of@mine"
TOKEN = "T0KEN-of-a-hook-4711"
ROLE = "sluice_planted"
HOOKS = {
    "SLUICE_TEST_HOOK": f"http://127.0.0.1:9/services/{TOKEN}",
    # Python's own complaint about this address repeats it.
    "SLUICE_TEST_ODD_HOOK": f"http://127.0.0.1:9/odd services/{TOKEN[::-1]}",
}
ROUTES = """
channels:
  - {name: chat, webhook: {url_env: SLUICE_TEST_HOOK}, attempts: 1}
  - {name: odd, webhook: {url_env: SLUICE_TEST_ODD_HOOK}, attempts: 1}
routes: [{channels: [chat, odd]}]
"""


def with_password(server: PostgresServer) -> PostgresServer:
    """The same database for a role that is asked for its password."""
    given = PASSWORD.replace("'", "''")
    with psycopg.connect(server.dsn, autocommit=True) as session:
        session.execute(f"create role {ROLE} superuser login password '{given}'".encode())
        [file] = session.execute("show hba_file").fetchone() or [""]
        session.execute(
            f"copy (select unnest(array['local all {ROLE} scram-sha-256', 'local all all trust']))"
            f" to '{file}'".encode()
        )
        session.execute("select pg_reload_conf()")
    while _lets_in(server, WRONG):
        time.sleep(0.05)
    return replace(server, user=f"{ROLE}:{quote(PASSWORD, safe='')}")


def _lets_in(server: PostgresServer, password: str) -> bool:
    try:
        psycopg.connect(
            host=server.host, port=server.port, user=ROLE, dbname=server.database, password=password
        ).close()
    except psycopg.OperationalError:
        return False
    return True


def found(secrets: Iterable[str], folders: Iterable[Path], said: str) -> list[str]:
    """Where any of the secrets stands, in whichever form."""
    forms = {
        form.encode()
        for each in secrets
        for form in (
            each, quote(each), quote(each, safe=""), quote_plus(each), json.dumps(each)[1:-1],
            repr(each)[1:-1], base64.b64encode(each.encode()).decode().rstrip("="),
        )
    }  # fmt: skip
    places = [("what was said", said.encode())]
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                places += [(str(path), content) for content in _contents(path)]
    return [f"{place}: {form!r}" for place, content in places for form in forms if form in content]


def _contents(path: Path) -> Iterator[bytes]:
    """The bytes, and what they are when they are unpacked."""
    content = path.read_bytes()
    yield content
    # Parts of a backup begin with a digest.
    for packed in (content, content[32:]):
        with suppress(zlib.error):
            yield zlib.decompress(packed)
    if content.startswith(b"SQLite format 3"):
        with closing(sqlite3.connect(path)) as database:
            tables = database.execute("select name from sqlite_master where type = 'table'")
            for (table,) in tables.fetchall():
                for row in database.execute(f'select * from "{table}"'):
                    for value in row:
                        data = value if isinstance(value, bytes) else str(value).encode()
                        yield data
                        with suppress(zlib.error):
                            yield zlib.decompress(data)
