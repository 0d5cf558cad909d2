"""The collector: what was answered with 202 is in landing, whatever happens afterwards."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from quay import Quay, table

from ingestion.connectors import fetching
from ingestion.connectors.collecting import collect
from ingestion.connectors.outcome import Fetched
from warehouse.errors import ContractError, LockedError

KEY = "a-write-key-of-ours"
AT = "2026-03-01T10:00:00Z"
COLUMNS = {
    "event_id": "varchar", "event_name": "varchar", "account_id": "varchar", "user_id": "varchar",
    "occurred_at": "timestamptz", "sent_at": "timestamptz", "received_at": "timestamptz",
    "context": "json", "properties": "json",
}  # fmt: skip
REQUIRED = ("event_id", "event_name", "user_id", "occurred_at", "sent_at", "received_at")
EVENTS: dict[str, Any] = {
    "report_created": {
        "required": ["report_id"],
        "properties": {"report_id": "string", "n": "integer"},
    }
}


def event(event_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "event_id": event_id, "event_name": "signed_in", "user_id": "u1", "account_id": "a1",
        "occurred_at": AT, "sent_at": AT,
    } | changes  # fmt: skip


def declare(quay: Quay, **more: Any) -> None:
    quay.declare(
        {"kind": "collector", "write_keys": {"web": KEY}, "events": EVENTS,
         "names": {"page": "page_viewed", "identify": "identified"}, **more},
        table("events", COLUMNS, key=["event_id"], required=REQUIRED),
    )  # fmt: skip
    seeds = quay.dock.settings.data_dir / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    (seeds / "event_taxonomy.csv").write_text("event_name\nsigned_in\npage_viewed\n")


@dataclass
class Server:
    port: int
    pid: int

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any], Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request("POST", f"/v1/{path}", content, {"X-Write-Key": KEY, **headers})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text else {}, answer.headers

    def end(self, how: int = signal.SIGTERM) -> None:
        if self.pid:
            os.kill(self.pid, how)
            os.waitpid(self.pid, 0)
            self.pid = 0


@contextmanager
def serving(quay: Quay) -> Iterator[Server]:
    """A process of its own that serves, as `sluice collect` does."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            settings = quay.dock.settings
            connector = fetching.connector_of(settings, "shop")

            def ready(url: str) -> None:
                os.write(writing, url.encode())

            def landed(fetched: Fetched) -> None:
                fetching.log(settings, fetched)

            collect(settings, connector, "127.0.0.1", 0, landed, ready)
        finally:
            os._exit(0)
    os.close(writing)
    server = Server(int(os.read(reading, 200).decode().rpartition(":")[2]), pid)
    os.close(reading)
    try:
        yield server
    finally:
        server.end()


def landed(quay: Quay, hidden: bool = False) -> list[dict[str, Any]]:
    paths = quay.everything() if hidden else quay.landed()
    kept = [path for path in paths if (".rejected/" in path) == hidden and ".connector" not in path]
    return [json.loads(line) for path in kept for line in quay.content(path).splitlines()]


def test_good_events_land_and_bad_ones_are_kept_with_their_reason(quay: Quay) -> None:
    declare(quay)
    bad = [
        event("b1", event_name="unheard_of"),
        event("b2", user_id=None),
        event("b3", occurred_at="yesterday"),
        event("b4", event_name="report_created", properties={"n": 1}),
        event("b5", event_name="report_created", properties={"report_id": "r", "n": "1"}),
        event("b6", properties=[1]),
        event("b7", properties={"x": "y" * 40_000}),
        "no event",
    ]
    with serving(quay) as server:
        status, answer, _ = server.post("events", [event("g1"), *bad, event("g2")])
        assert (status, answer["accepted"], answer["rejected"]) == (202, 2, 8)
        reasons = {each["index"]: each["reason"] for each in answer["errors"]}
        assert "not in the event taxonomy" in reasons[1] and "user_id is required" in reasons[2]
        assert "is no time" in reasons[3] and "properties.report_id is required" in reasons[4]
        assert "properties.n is no integer" in reasons[5] and "longer than" in reasons[7]
        lines = "\n".join(json.dumps(event(f"l{n}")) for n in range(3)).encode()
        assert server.post("events", lines)[1]["accepted"] == 3
        packed = gzip.compress(json.dumps({"events": [event("z1")]}).encode())
        assert server.post("events", packed, **{"Content-Encoding": "gzip"})[1]["accepted"] == 1
    rows = landed(quay)
    assert [row["event_id"] for row in rows] == ["g1", "g2", "l0", "l1", "l2", "z1"]
    assert all(row["received_at"] > AT for row in rows)
    assert [each["reason"] for each in landed(quay, hidden=True)] == list(reasons.values())
    assert quay.load().rows == 6
    [noted] = quay.log("noted")
    assert noted["reason"].startswith("rejected: 8 events, ")
    # The taxonomy learns of one of them: the next fetch takes it in, once.
    seed = quay.dock.settings.data_dir / "seeds" / "event_taxonomy.csv"
    assert quay.fetch().rows == 0
    seed.write_text("event_name\nsigned_in\nunheard_of\n")
    assert quay.fetch().rows == 1 and quay.fetch().rows == 0
    assert quay.load().rows == 1


def test_segments_calls_become_rows_of_the_contract(quay: Quay) -> None:
    declare(quay, events={**EVENTS, "identified": {}})
    call = {"messageId": "m1", "userId": "u9", "timestamp": AT, "sentAt": "2026-03-01T10:00:05Z"}
    with serving(quay) as server:
        basic = {
            "X-Write-Key": "",
            "Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode(),
        }
        track = {**call, "event": "report_created", "properties": {"report_id": "r1"}}
        assert server.post("track", track, **basic)[:2] == (
            202,
            {"accepted": 1, "rejected": 0, "errors": []},
        )
        server.post("page", {**call, "messageId": "m2", "context": {"groupId": "a7"}})
        batch = {
            "sentAt": "2026-03-01T11:00:00Z",
            "batch": [
                {"type": "identify", "messageId": "m3", "userId": "u9", "timestamp": AT,
                 "traits": {"plan": "team"}},
                {"type": "track", "event": "signed_in", "messageId": "m4", "anonymousId": "x",
                 "timestamp": AT},
                {"type": "group", "messageId": "m5", "userId": "u9", "timestamp": AT},
            ],
        }  # fmt: skip
        assert server.post("batch", batch)[1]["errors"] == [
            {"index": 2, "reason": "'(group)' is not in the event taxonomy"}
        ]
    quay.load()
    assert quay.rows(
        """select event_id, event_name, user_id, account_id, left(sent_at::varchar, 19),
               coalesce(properties->>'report_id', properties->>'plan')
           from raw_shop.events order by event_id"""
    ) == [
        ("m1", "report_created", "u9", None, "2026-03-01 10:00:05", "r1"),
        ("m2", "page_viewed", "u9", "a7", "2026-03-01 10:00:05", None),
        ("m3", "identified", "u9", None, "2026-03-01 11:00:00", "team"),
        ("m4", "signed_in", "x", None, "2026-03-01 11:00:00", None),
    ]


def test_who_may_not_send_or_sends_nonsense_is_told_so(quay: Quay) -> None:
    declare(quay, max_body_bytes=2000)
    with serving(quay) as server:
        assert server.post("events", [event("x")], **{"X-Write-Key": "other"})[0] == 401
        assert server.post("events", [event("x")], **{"X-Write-Key": ""})[0] == 401
        assert server.post("events", b"{not json")[0] == 400
        assert server.post("events", b"42")[0] == 400
        assert server.post("batch", {"batch": 1})[0] == 400
        assert server.post("events", [event(str(n)) for n in range(99)])[0] == 413
        bomb = gzip.compress(b" " * 10_000_000)
        assert (
            len(bomb) > 2000
            or server.post("events", bomb, **{"Content-Encoding": "gzip"})[0] == 413
        )
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read())["status"] == "ok"
        with pytest.raises(LockedError):
            collect(quay.dock.settings, fetching.connector_of(quay.dock.settings, "shop"),
                    "127.0.0.1", 0, print, print)  # fmt: skip
    assert not landed(quay) and not quay.log("noted")


def _send(
    server: Server, name: str, after: int, answered: list[str], enough: threading.Event
) -> None:
    """Batch after batch until the server is gone."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    for number in range(10_000):
        ids = [f"{name}-{number}-{n}" for n in range(5)]
        body = json.dumps([event(each) for each in ids])
        try:
            connection.request("POST", "/v1/events", body, {"X-Write-Key": KEY})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return
        assert answer.status == 202
        answered.extend(ids)
        if number == after:
            enough.set()


@pytest.mark.parametrize("rotate", [10**9, 3000], ids=["one file", "many files"])
def test_a_killed_collector_has_lost_nothing_that_it_accepted(quay: Quay, rotate: int) -> None:
    """Clients send as fast as they can; three times the process is killed in the middle."""
    declare(quay, rotate_bytes=rotate)
    answered: list[str] = []
    for turn in range(3):
        with serving(quay) as server:
            enough = threading.Event()
            threads = [
                threading.Thread(
                    target=_send, args=(server, f"{turn}-{client}", 10 + 7 * turn, answered, enough)
                )
                for client in range(3)
            ]
            for thread in threads:
                thread.start()
            assert enough.wait(30)
            server.end(signal.SIGKILL)
            for thread in threads:
                thread.join()
    # A line that was being written when the process died.
    [*_, last] = sorted((quay.dock.settings.data_dir / "connectors/spool/shop").glob("2*")) or [
        None
    ]
    if last is not None:
        with last.open("ab") as stream:
            stream.write(b'{"event_id": "torn')
    quay.fetch()
    rows = [row["event_id"] for row in landed(quay)]
    assert len(answered) > 100 and set(answered) <= set(rows) and len(rows) == len(set(rows))
    loaded = quay.load()
    assert loaded.rows == len(rows) and not loaded.quarantined
    assert not list((quay.dock.settings.data_dir / "connectors/spool/shop").glob("2*"))


def test_a_disk_that_is_full_is_answered_with_503_and_keeps_nothing_by_halves(
    quay: Quay, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(quay)
    real, fail_at = os.fdatasync, [2]

    def full(descriptor: int) -> None:
        fail_at[0] -= 1
        if fail_at[0] == 0:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fdatasync", full)
    with serving(quay) as server:
        assert server.post("events", [event("e1")])[0] == 202
        status, _, headers = server.post("events", [event("e2", properties={"x": "y" * 500})])
        assert status == 503 and headers["Retry-After"]
        assert server.post("events", [event("e3")])[0] == 202
    assert [row["event_id"] for row in landed(quay)] == ["e1", "e3"]


def test_when_the_disk_does_not_keep_up_clients_are_asked_to_come_back(
    quay: Quay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk stands still until a request was refused; then it goes on, and nothing is lost."""
    declare(quay, max_waiting_bytes=2000)
    goes_on = quay.dock.settings.data_dir / "goes_on"

    def slow(descriptor: int) -> None:
        while not goes_on.exists():
            pass

    monkeypatch.setattr(os, "fdatasync", slow)
    with serving(quay) as server:
        answers: list[tuple[str, int]] = []

        def send(name: str) -> None:
            status, _, headers = server.post("events", [event(name, properties={"x": "y" * 1200})])
            answers.append((name, status))
            if status == 429:
                assert headers["Retry-After"] == "1"
                goes_on.touch()

        threads = [threading.Thread(target=send, args=(f"e{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    statuses = [status for _, status in answers]
    assert 429 in statuses and 202 in statuses
    assert {r["event_id"] for r in landed(quay)} == {n for n, status in answers if status == 202}


def test_a_port_that_is_taken_or_a_taxonomy_that_is_not_there_is_said(
    quay: Quay, tmp_path: Path
) -> None:
    declare(quay, taxonomy="nothing")
    with pytest.raises(ContractError, match=r"nothing\.csv"):
        quay.fetch()
    declare(quay)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Exception, match=f"cannot listen on 127.0.0.1:{port}"):
            collect(quay.dock.settings, fetching.connector_of(quay.dock.settings, "shop"),
                    "127.0.0.1", port, print, print)  # fmt: skip
