"""Masked values: a keyed hash that both engines compute alike, and the key it needs.

The same value has the same mask in every table, in every snapshot and on every engine, so that
masked columns still join and count; without the key nobody finds the value by trying.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final, Literal

import duckdb

from warehouse.errors import SettingsError
from warehouse.settings import Settings

Engine = Literal["duckdb", "postgres"]

VARIABLE: Final = "sluice_mask_key"
POSTGRES_SETTING: Final = "sluice.mask_key"
# 32 hexadecimal digits: 128 bits, no two values of any company share a mask.
LENGTH: Final = 32
SHORTEST_KEY: Final = 16
# What both engines write alike as text; anything else a model must turn into text itself.
MASKABLE: Final = frozenset([
    "varchar", "text", "string", "char", "bpchar", "uuid", "date", "boolean", "bool", "tinyint",
    "smallint", "integer", "int", "bigint", "int2", "int4", "int8", "hugeint",
])  # fmt: skip


def mask(key: str, value: str | None) -> str | None:
    """What the engines compute, for one value."""
    return None if value is None else _sha256(f"{key}:{_sha256(f'{key}:{value}')}")[:LENGTH]


def expression(column: str, engine: Engine) -> str:
    """SQL for the mask of a column. The connection knows the key (`give_key`)."""
    text = f"cast({column} as {'varchar' if engine == 'duckdb' else 'text'})"
    key = f"getvariable('{VARIABLE}')" if engine == "duckdb" else setting()
    inner = _sha256_sql(f"{key} || ':' || {text}", engine)
    return f"left({_sha256_sql(f'''{key} || ':' || {inner}''', engine)}, {LENGTH})"


def give_key(connection: duckdb.DuckDBPyConnection, settings: Settings) -> str:
    """Let a connection of DuckDB mask, without the key being in any SQL."""
    key = mask_key(settings)
    connection.execute(f"set variable {VARIABLE} = ?", [key])
    return key


def setting() -> str:
    """PostgreSQL: where a session finds the key."""
    return f"current_setting('{POSTGRES_SETTING}')"


def is_maskable(data_type: str) -> bool:
    """Numbers with decimals, times and objects are written differently by different engines."""
    return data_type.lower().partition("(")[0].strip() in MASKABLE


def key_id(key: str) -> str:
    """Tells keys apart and tells nothing of them."""
    return _sha256(f"which key:{key}")[:8]


def mask_key(settings: Settings) -> str:
    """From SLUICE_MASK_KEY, else from the key's file; in `dev` a first use makes the file."""
    given = settings.mask_key.get_secret_value()
    if given:
        return _long_enough(given, "SLUICE_MASK_KEY")
    path = settings.mask_key_path
    if not path.exists():
        if settings.environment != "dev":
            raise SettingsError(
                f"There is no key to mask personal columns with, and in {settings.environment} "
                "none is made up.",
                remedy="Set SLUICE_MASK_KEY, or SLUICE_MASK_KEY_FILE to a file that only the "
                "platform may read (docs/guides/rights.md).",
            )
        _make(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise SettingsError(
            f"Others than the platform may read the key {path} (mode {mode:03o}).",
            remedy=f"`chmod 600 {path}`; if others can have read it, change the key "
            "(docs/guides/rights.md).",
        )
    return _long_enough(path.read_text().strip(), str(path))


def _long_enough(key: str, where: str) -> str:
    if len(key) < SHORTEST_KEY:
        raise SettingsError(
            f"The key in {where} is too short: it could be guessed.",
            remedy=f"At least {SHORTEST_KEY} characters: `openssl rand -hex 32` makes one.",
        )
    return key


def _make(path: Path) -> None:
    """Whole or not at all, and the first of two processes wins."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass
    finally:
        aside.unlink()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256_sql(text: str, engine: Engine) -> str:
    if engine == "duckdb":
        return f"sha256({text})"
    return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"
