"""Masks: the same on both engines, and a key that only the platform may read."""

from __future__ import annotations

import stat
import uuid
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from postgres_server import PostgresServer

from warehouse import masks
from warehouse.errors import SettingsError
from warehouse.settings import Settings

KEY = "a-key-that-only-tests-use"
VALUES: dict[str, list[Any]] = {
    "varchar": ["a@b.c", "", "Zoë 🐘", "it's", "two\nlines", None],
    "date": [date(1970, 1, 8), date(9999, 12, 31)],
    "bigint": [0, -7, 2**62],
    "boolean": [True, False],
    "uuid": [uuid.UUID(int=7)],
}


def as_text(value: Any) -> str | None:
    return value if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def test_both_engines_mask_alike_and_null_stays_null(postgres: PostgresServer) -> None:
    expected = [masks.mask(KEY, as_text(each)) for values in VALUES.values() for each in values]
    assert len(set(expected)) == len(expected)
    assert {len(each) for each in expected if each is not None} == {masks.LENGTH}
    with duckdb.connect() as here:
        masks.give_key(here, Settings(mask_key=KEY))
        on_duckdb = [
            here.execute(
                f"select {masks.expression('v', 'duckdb')} from (select ?::{kind} as v)", [each]
            ).fetchone()
            for kind, values in VALUES.items()
            for each in values
        ]
    with (
        psycopg.connect(postgres.dsn, options=f"-c {masks.POSTGRES_SETTING}={KEY}") as there,
    ):
        on_postgres = [
            there.execute(
                f"select {masks.expression('v', 'postgres')}"  # type: ignore[arg-type]
                f" from (select %s::{kind} as v) as t",
                [each],
            ).fetchone()
            for kind, values in VALUES.items()
            for each in values
        ]
    assert on_duckdb == on_postgres == [(each,) for each in expected]


def test_the_first_use_makes_a_key_that_only_the_platform_may_read(tmp_path: Path) -> None:
    here = Settings(data_dir=tmp_path)
    key = masks.mask_key(here)
    assert len(key) == 64 and masks.mask_key(here) == key
    assert stat.S_IMODE(here.mask_key_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(here.mask_key_path.parent.stat().st_mode) == 0o700
    assert [each.name for each in here.mask_key_path.parent.iterdir()] == ["mask.key"]
    here.mask_key_path.chmod(0o640)
    with pytest.raises(SettingsError, match="Others than the platform may read"):
        masks.mask_key(here)


def test_a_key_that_is_missing_or_short_is_refused_and_never_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="in prod none is made up"):
        masks.mask_key(Settings(data_dir=tmp_path, environment="prod"))
    assert not (tmp_path / "secrets").exists()
    with pytest.raises(SettingsError, match="could be guessed") as refused:
        masks.mask_key(Settings(data_dir=tmp_path, mask_key="hunter2"))
    assert "hunter2" not in f"{refused.value}{Settings(mask_key='hunter2')!r}"


def test_keys_are_told_apart_without_telling_them() -> None:
    assert masks.key_id(KEY) != masks.key_id(KEY + "!")
    assert masks.key_id(KEY) not in (masks.mask(KEY, "") or "")
