"""`sluice collect`: events over HTTP, on the disk before the client is told so."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingestion.connectors.calls import CALLS, BadRequestError, Calls
from ingestion.connectors.journal import Entry, Journal
from ingestion.connectors.taxonomy import Taxonomy
from ingestion.connectors.words import CollectorEntity, CollectorSource

# So many faults of one request are told; all are counted.
_ERRORS_TOLD: Final = 100
_WAIT_SECONDS: Final = "1"


class Collector:
    def __init__(
        self,
        declared: CollectorSource,
        entity: CollectorEntity,
        taxonomy: Taxonomy,
        journal: Journal,
    ) -> None:
        self._declared, self._taxonomy, self._journal = declared, taxonomy, journal
        self._calls = Calls(declared, entity)
        self._keys = {key.encode(): name for name, key in declared.write_keys.items()}
        self.accepted, self.rejected = 0, 0

    def app(self) -> Starlette:
        paths = ("events", *CALLS)
        return Starlette(
            routes=[
                *(Route(f"/v1/{path}", self.take, methods=["POST"], name=path) for path in paths),
                Route("/health", self.health, methods=["GET"]),
            ],
            # Pages of any site may send: what lets them in is the write key.
            middleware=[
                Middleware(
                    CORSMiddleware,
                    allow_origins=["*"],
                    allow_methods=["POST"],
                    allow_headers=["*"],
                    max_age=86400,
                )
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self._journal.close)

    async def health(self, _: Request) -> Response:
        alive = self._journal.is_alive
        state = {
            "status": "ok" if alive else "the journal has stopped",
            "accepted": self.accepted,
            "rejected": self.rejected,
            "waiting_bytes": self._journal.waiting_bytes,
        }
        return _answer(200 if alive else 503, state)

    async def take(self, request: Request) -> Response:
        client = self._client(request)
        if client is None:
            return _answer(401, {"error": "the write key is missing or unknown"})
        body = await self._body(request)
        if body is None:
            limit = self._declared.max_body_bytes
            return _answer(
                413, {"error": f"a request has at most {limit:,} bytes; send less at once"}
            )
        try:
            entry, answer = self._judged(request.url.path.rsplit("/", 1)[-1], body, client)
        except BadRequestError as error:
            return _answer(400, {"error": str(error)})
        return await self._written(entry, answer)

    async def _written(self, entry: Entry, answer: dict[str, Any]) -> Response:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[bool] = loop.create_future()

        def tell(good: bool) -> None:
            if not written.done():
                written.set_result(good)

        def done(good: bool) -> None:
            loop.call_soon_threadsafe(tell, good)

        entry.done = done
        if not entry.size:
            return _answer(202, answer)
        if not self._journal.offer(entry):
            return _answer(429, {"error": "too much waits for the disk"}, wait=True)
        if not await written:
            return _answer(503, {"error": "the disk does not take it"}, wait=True)
        self.accepted += answer["accepted"]
        self.rejected += answer["rejected"]
        return _answer(202, answer)

    def _judged(self, call: str, body: bytes, client: str) -> tuple[Entry, dict[str, Any]]:
        """Each event into what is accepted or, with the reason, into what is rejected."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        good, bad, reasons = [], [], Counter[str]()
        errors: list[dict[str, Any]] = []
        fault_of = self._taxonomy.fault
        for index, row in enumerate(self._calls.rows(call, body)):
            if isinstance(row, dict):
                row["received_at"] = now
                if row.get("sent_at") is None:
                    # Who does not say when it sent is taken to have a right clock.
                    row["sent_at"] = now
                line = orjson.dumps(row)
                fault = fault_of(row, len(line))
            else:
                fault = "it is no object"
            if fault is None:
                good.append(line)
                continue
            reasons[fault] += 1
            kept = {"received_at": now, "client": client, "reason": fault, "event": row}
            bad.append(orjson.dumps(kept))
            if len(errors) < _ERRORS_TOLD:
                errors.append({"index": index, "reason": fault})
        entry = Entry(_lines(good), _lines(bad), len(good), reasons, lambda good: None)
        return entry, {"accepted": len(good), "rejected": len(bad), "errors": errors}

    def _client(self, request: Request) -> str | None:
        """By X-Write-Key, `Bearer <key>`, or as Segment's libraries do: the name of Basic."""
        key = request.headers.get("x-write-key", "")
        kind, _, value = request.headers.get("authorization", "").partition(" ")
        if not key and kind.lower() == "bearer":
            key = value.strip()
        elif not key and kind.lower() == "basic":
            try:
                key = base64.b64decode(value, validate=True).decode().partition(":")[0]
            except (binascii.Error, UnicodeDecodeError):
                return None
        given, found = key.encode(), None
        # Every key is compared, in the same time whichever it is.
        for known, name in self._keys.items():
            if hmac.compare_digest(given, known):
                found = name
        return found

    async def _body(self, request: Request) -> bytes | None:
        """The body, unpacked; nothing if it is larger than is allowed."""
        limit = self._declared.max_body_bytes
        if int(request.headers.get("content-length") or 0) > limit:
            return None
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                return None
            parts.append(part)
        body = b"".join(parts)
        if request.headers.get("content-encoding", "").lower() != "gzip":
            return body
        unpacker = zlib.decompressobj(wbits=31)
        try:
            plain = unpacker.decompress(body, limit)
        except zlib.error:
            return body
        return None if unpacker.unconsumed_tail else plain


def _lines(rows: list[bytes]) -> bytes:
    return b"\n".join(rows) + b"\n" if rows else b""


def _answer(status: int, content: dict[str, Any], *, wait: bool = False) -> Response:
    headers = {"Retry-After": _WAIT_SECONDS} if wait else None
    return Response(orjson.dumps(content), status, headers, "application/json")
