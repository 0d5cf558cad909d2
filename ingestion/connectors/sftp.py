"""SFTP through fsspec, but only to a server whose key is known."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import unquote, urlsplit

import paramiko  # type: ignore[import-untyped]
from fsspec.implementations.sftp import SFTPFileSystem

from ingestion.connectors.words import FilesSource
from warehouse.errors import SettingsError


class KnownHost(SFTPFileSystem):  # type: ignore[misc]
    """fsspec's own would trust whichever server answers, and give it our password."""

    cachable = False

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        options = dict(self.ssh_kwargs)
        key = options.pop("host_key", "")
        if key:
            kind, _, text = key.strip().partition(" ")
            port = int(options.get("port", 22))
            name = self.host if port == 22 else f"[{self.host}]:{port}"
            found = paramiko.PKey.from_type_string(kind, base64.b64decode(text.split(" ")[0]))
            self.client.get_host_keys().add(name, kind, found)
        else:
            self.client.load_system_host_keys()
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            self.client.connect(self.host, **options)
        except paramiko.SSHException as error:
            raise SettingsError(
                f"{self.host} was not let in, or did not let us in: {error}.",
                remedy="Say its key as `host_key: ssh-ed25519 AAAA…` in the connector "
                "(ssh-keyscan shows it; compare it with what the server's owner says).",
            ) from error
        self.ftp = self.client.open_sftp()


def filesystem(declared: FilesSource) -> tuple[Any, str]:
    url = urlsplit(declared.url)
    options = dict(declared.options)
    if url.port:
        options["port"] = url.port
    if url.username:
        options["username"] = unquote(url.username)
    if url.password:
        options["password"] = unquote(url.password)
    if declared.host_key:
        options["host_key"] = declared.host_key
    return KnownHost(url.hostname or "", **options), url.path or "/"
