"""An S3-compatible server and an SFTP server on loopback, each with a folder to drop files in."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import paramiko  # type: ignore[import-untyped]


@dataclass
class RemoteDrop:
    url: str
    declared: dict[str, Any]
    secret: str
    put: Any
    another_key: str = ""
    passwords_seen: list[str] = field(default_factory=list)


@contextmanager
def s3_drop(_: Path) -> Iterator[RemoteDrop]:
    import boto3  # type: ignore[import-untyped]
    from moto.server import ThreadedMotoServer

    before = os.environ.get("INITIAL_NO_AUTH_ACTION_COUNT")
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    endpoint = f"http://127.0.0.1:{port}"
    yield from _s3(endpoint, boto3)
    server.stop()
    if before is None:
        del os.environ["INITIAL_NO_AUTH_ACTION_COUNT"]


def _s3(endpoint: str, boto3: Any) -> Iterator[RemoteDrop]:
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1",
        aws_access_key_id="sluice", aws_secret_access_key="a-secret-of-s3",
    )  # fmt: skip
    client.create_bucket(Bucket="drop")
    yield RemoteDrop(
        "s3://drop/in",
        {"options": {
            "key": "sluice", "secret": "${env:DROP_SECRET}", "endpoint_url": endpoint,
        }},
        "a-secret-of-s3",
        lambda name, content: client.put_object(Bucket="drop", Key=f"in/{name}", Body=content),
    )  # fmt: skip


class _Door(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, drop: RemoteDrop) -> None:
        self.drop = drop

    def check_auth_password(self, username: str, password: str) -> int:
        self.drop.passwords_seen.append(password)
        good = username == "sluice" and password == self.drop.secret
        return int(paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)


class _Folder(paramiko.SFTPServerInterface):  # type: ignore[misc]
    """Reading only: list, stat, open."""

    root: Path

    def _place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def list_folder(self, path: str) -> Any:
        try:
            return [self._attributes(each) for each in self._place(path).iterdir()]
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def stat(self, path: str) -> Any:
        try:
            return self._attributes(self._place(path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        try:
            stream = self._place(path).open("rb")
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = stream
        handle.stat = lambda: self._attributes(self._place(path))
        return handle

    def _attributes(self, place: Path) -> Any:
        return paramiko.SFTPAttributes.from_stat(place.stat(), place.name)


@contextmanager
def sftp_drop(folder: Path) -> Iterator[RemoteDrop]:
    root = folder / "sftp"
    (root / "in").mkdir(parents=True)
    key, other = (paramiko.ECDSAKey.generate() for _ in range(2))
    listener = socket.create_server(("127.0.0.1", 0))
    port, clock = listener.getsockname()[1], count()

    def put(name: str, content: bytes) -> None:
        (root / "in" / name).write_bytes(content)
        # Servers tell whole seconds: another second than the file before.
        at = 1_700_000_000 + next(clock)
        os.utime(root / "in" / name, (at, at))

    drop = RemoteDrop(
        f"sftp://127.0.0.1:{port}/in",
        {
            "host_key": f"{key.get_name()} {key.get_base64()}",
            "settle_seconds": 0.01,
            "options": {"username": "sluice", "password": "${env:DROP_SECRET}",
                        "allow_agent": False, "look_for_keys": False},
        },
        "a-secret-of-sftp",
        put,
        f"{other.get_name()} {other.get_base64()}",
    )  # fmt: skip
    kind = type("Folder", (_Folder,), {"root": root})
    transports: list[Any] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, kind)
            transports.append(transport)
            try:
                transport.start_server(server=_Door(drop))
            except (paramiko.SSHException, EOFError):
                continue

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield drop
    finally:
        listener.close()
        for transport in transports:
            transport.close()
