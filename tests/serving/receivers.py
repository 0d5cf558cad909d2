"""Real servers on this machine that take messages: a webhook and a mail server."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Hook:
    """A webhook; `answers` are what it does first, before it takes everything with 200."""

    url: str = ""
    answers: list[int | str] = field(default_factory=list)
    asked: int = 0
    taken: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        return [each["text"].splitlines()[0] for each in self.taken]


@contextmanager
def webhook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.asked += 1
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = hook.answers.pop(0) if hook.answers else 200
            if answer == "silence":
                # Until whoever asked has given up.
                self.connection.recv(1)
                return
            if answer == "hang up":
                self.connection.close()
                return
            if answer == 200:
                hook.taken.append(body)
                hook.keys.append(self.headers["Idempotency-Key"])
            self.send_response(int(answer))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Not into the tests' output."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        hook.url = f"http://127.0.0.1:{port}/hook/secret-token"
        yield hook


@dataclass
class Mailbox:
    port: int = 0
    refuses: list[str] = field(default_factory=list)
    letters: list[Message] = field(default_factory=list)
    receivers: list[list[str]] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    """Just enough SMTP: what it `refuses` it answers so once, by the command's first word."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            to: list[str] = []
            self.say("220 ready")
            for line in self.rfile:
                word = line.decode().strip().split(":")[0].split(" ")[0].upper()
                if word in box.refuses:
                    box.refuses.remove(word)
                    self.say("451 not now")
                elif word == "QUIT":
                    self.say("221 bye")
                    return
                elif word == "RCPT":
                    to.append(line.decode().partition("<")[2].partition(">")[0])
                    self.say("250 ok")
                elif word == "DATA":
                    self.say("354 go on")
                    box.letters.append(message_from_string(self.letter()))
                    box.receivers.append(to)
                    self.say("250 taken")
                else:
                    self.say("250 ok")

        def letter(self) -> str:
            lines = []
            while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                lines.append(line)
            return "\n".join(lines)

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        box.port = port
        yield box


@contextmanager
def serving(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
