"""The payment provider's API over HTTP, on loopback, with the moods of a real one.

It shows of each invoice, payment and refund the present version, in the order of their last
change, and every change of customers and subscriptions. Time goes on while it is read.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from warehouse.errors import SluiceError

# By entity: what identifies a row that is replaced by its next version, and its time of change.
LISTS: Mapping[str, tuple[str, str]] = {
    "customers": ("change_id", "changed_at"),
    "subscriptions": ("change_id", "changed_at"),
    "invoices": ("invoice_id", "updated_at"),
    "payments": ("payment_id", "updated_at"),
    "refunds": ("refund_id", "refunded_at"),
}


@dataclass
class Moods:
    """Every so-manieth request goes wrong in this way; 0: never."""

    error: int = 0
    busy: int = 0
    silent: int = 0
    torn: int = 0
    again: int = 0
    withdrawn: int = 0
    # Each request makes so many changes happen that are still to come.
    changes: int = 0
    retry_after: str = "1"
    silent_seconds: float = 60.0


REAL = Moods(error=11, busy=13, silent=0, torn=17, again=19, changes=3)


@dataclass
class BillingApi:
    """What the provider knows, and how it answers."""

    moods: Moods
    token: str = ""
    client: tuple[str, str] = ("", "")
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    coming: dict[str, list[str]] = field(default_factory=dict)
    requests: int = 0
    tokens_given: int = 0
    went_wrong: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, entity: str, lines: list[str], held_back: int = 0) -> None:
        """Deliveries in their order; the last ones are still to come."""
        known = [line for line in dict.fromkeys(lines) if set(LISTS[entity]) <= set(_object(line))]
        known.sort(key=lambda line: json.loads(line)[LISTS[entity][1]])
        at = len(known) - held_back
        self.rows[entity] = {}
        for line in known[:at]:
            self._apply(entity, line)
        self.coming[entity] = known[at:]

    def go_on(self, entity: str, count: int) -> None:
        coming = self.coming[entity]
        for line in coming[:count]:
            self._apply(entity, line)
        del coming[:count]

    def _apply(self, entity: str, line: str) -> None:
        key = str(json.loads(line)[LISTS[entity][0]])
        # A row that changes leaves its place and comes last.
        self.rows[entity].pop(key, None)
        self.rows[entity][key] = line

    def mood(self) -> str:
        self.requests += 1
        for name in ("error", "busy", "silent", "torn", "again", "withdrawn"):
            every = getattr(self.moods, name)
            if every and self.requests % every == 0:
                self.went_wrong[name] = self.went_wrong.get(name, 0) + 1
                return name
        return ""

    def page(self, entity: str, asked: Mapping[str, str], mood: str) -> bytes:
        self.go_on(entity, self.moods.changes)
        changed, since = LISTS[entity][1], asked.get("since", "")
        rows = [r for r in self.rows[entity].values() if json.loads(r)[changed] >= since]
        limit = min(int(asked.get("limit", 100)), 1000)
        if "page" in asked:
            # Now and then a page comes twice, in the place of the next.
            number = max(int(asked["page"]) - (mood == "again"), 1)
            part = rows[(number - 1) * limit : number * limit]
            more: dict[str, object] = {"page": number, "pages": -(-len(rows) // limit)}
        else:
            after = asked.get("cursor", "")
            rest = [r for r in rows if json.loads(r)[changed] >= after] if after else rows
            part = rest[: max(limit, 1)]
            while len(part) < len(rest) and (
                json.loads(rest[len(part)])[changed] == json.loads(part[-1])[changed]
            ):
                part.append(rest[len(part)])
            is_last = len(part) == len(rest)
            more = {"next": None if is_last else json.loads(part[-1])[changed]}
        head = json.dumps({"object": "list", **more})[:-1]
        return f'{head}, "data": [{", ".join(part)}]}}'.encode()


def _object(line: str) -> dict[str, Any]:
    """Of what the simulator breaks on purpose an API would not know."""
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else {}


class _Answering(BaseHTTPRequestHandler):
    api: BillingApi
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        asked = {k: v[0] for k, v in parse_qs(self.rfile.read(length).decode()).items()}
        with self.api.lock:
            if (asked.get("client_id"), asked.get("client_secret")) != self.api.client:
                return self._say(401, b'{"error": "invalid_client"}')
            self.api.tokens_given += 1
            self.api.token = f"token-{self.api.tokens_given}"
            body = {"access_token": self.api.token, "token_type": "bearer", "expires_in": 3600}
        self._say(200, json.dumps(body).encode())

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        entity = url.path.removeprefix("/v1/")
        with self.api.lock:
            if self.headers.get("Authorization") != f"Bearer {self.api.token}" and self.api.token:
                return self._say(401, b'{"error": "who are you?"}')
            if entity not in self.api.rows:
                return self._say(404, b'{"error": "no such list"}')
            mood = self.api.mood()
            if mood == "withdrawn":
                # The token that was good a moment ago is not any more.
                self.api.token = "none"
            is_answered = mood not in ("error", "busy", "withdrawn")
            body = self.api.page(entity, asked, mood) if is_answered else b""
        if mood == "withdrawn":
            self._say(401, b'{"error": "expired"}')
        elif mood == "error":
            self._say(500, b"<html>Internal error</html>")
        elif mood == "busy":
            self._say(429, b"{}", {"Retry-After": self.api.moods.retry_after})
        elif mood == "silent":
            time.sleep(self.api.moods.silent_seconds)
            self.close_connection = True
        elif mood == "torn":
            # It says how long it is, or it does not and just ends: clients must notice either.
            self._say(200, body[: len(body) // 2], length=len(body) * (self.api.requests % 2))
        else:
            self._say(200, body)

    def _say(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, length: int = -1
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if length:
            self.send_header("Content-Length", str(len(body) if length < 0 else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.close_connection = length >= 0
        if self.close_connection:
            self.send_header("Connection", "close")
        with suppress(OSError):
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Silence: the platform's own log says what was fetched."""


def from_landing(landing: Path, moods: Moods, *, held_back: float = 0.0) -> BillingApi:
    """An API that knows what the simulator sent; of the end of it a share is still to come."""
    api = BillingApi(moods)
    for entity in LISTS:
        files = sorted((landing / "billing" / entity).glob("*/*.jsonl"), key=lambda p: p.name)
        if not files and entity == "customers":
            raise SluiceError(
                f"{landing} holds nothing that the billing API could show.",
                remedy="Play a history there first: `sluice simulate`.",
            )
        lines = [
            line
            for file in files
            for line in file.read_text(encoding="utf-8", errors="replace").splitlines()
        ]
        api.learn(entity, lines, int(len(lines) * held_back))
    return api


@contextmanager
def serving(api: BillingApi, port: int = 0) -> Iterator[str]:
    """The API at an address of this machine, until the block ends."""
    server = ThreadingHTTPServer(
        ("127.0.0.1", port), type("Answering", (_Answering,), {"api": api})
    )
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
