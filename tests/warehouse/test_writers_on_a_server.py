"""One writer at a time on PostgreSQL: by a lock that dies with whoever held it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from postgres_fixtures import new_database
from postgres_server import PostgresServer
from pydantic import SecretStr

from warehouse import postgres as server
from warehouse import workshop
from warehouse.errors import LockedError
from warehouse.settings import PROJECT_ROOT, Settings
from warehouse.snapshot_rows import books

HOLD = """
import sys, time
from warehouse import workshop
from warehouse.settings import Settings
with workshop.writing(Settings(target="postgres"), "run 1234"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def here(postgres: PostgresServer, tmp_path: Path) -> Settings:
    url = new_database(postgres).url
    return Settings(
        target="postgres",
        postgres=SecretStr(url),
        data_dir=tmp_path / "data",
        lock_wait_seconds=0.3,
    )


@pytest.fixture
def writer(here: Settings) -> Iterator[subprocess.Popen[str]]:
    """Another process, perhaps on another machine, that writes."""
    environment = {**os.environ, "SLUICE_POSTGRES": here.postgres.get_secret_value()}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=PROJECT_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_writer_is_told_for_whom_it_waits(
    here: Settings, writer: subprocess.Popen[str]
) -> None:
    told: list[str] = []
    with (
        pytest.raises(LockedError, match="run 1234"),
        workshop.writing(here, "run 5678", waiting=told.append),
    ):
        pytest.fail("two write at once")
    assert len(told) == 1 and "run 1234" in told[0]
    said = workshop.is_writing(here)
    assert said is not None and "run 1234" in said["purpose"]


def test_a_writer_that_is_killed_leaves_no_lock_behind(
    here: Settings, writer: subprocess.Popen[str]
) -> None:
    patient = here.model_copy(update={"lock_wait_seconds": 60.0})
    waits = threading.Event()

    def kill_when_it_waits() -> None:
        waits.wait(30)
        writer.send_signal(signal.SIGKILL)

    killer = threading.Thread(target=kill_when_it_waits)
    killer.start()
    with workshop.writing(patient, "run 5678", waiting=lambda _: waits.set()):
        assert waits.is_set()
        said = workshop.is_writing(here)
        assert said is not None and "run 5678" in said["purpose"]
    killer.join()
    assert workshop.is_writing(here) is None


LOCKS = (
    "select count(*) from pg_locks where locktype = 'advisory' and database ="
    " (select oid from pg_database where datname = current_database())"
)


def test_a_lock_is_given_back_though_the_server_is_slow_to_end_the_session(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[server.PostgresConnection] = []
    with closing(server.connect(here, read_only=True)) as onlooker:
        with monkeypatch.context() as slow:
            slow.setattr(server.PostgresConnection, "close", lambda session: ended.append(session))
            with workshop.writing(here, "run 5678"):
                assert server.holder(onlooker)["purpose"].startswith("run 5678")
                with books.exclusive(here):
                    assert onlooker.execute(LOCKS).fetchone() == (2,)
        assert onlooker.execute(LOCKS).fetchone() == (0,)
    for session in ended:
        session.close()
