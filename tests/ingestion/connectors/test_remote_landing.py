"""Landing on an object store: the same promises, kept by the record rather than by renames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import pytest
import yaml
from dock import Dock, House
from quay import Quay, table
from remote_drops import s3_drop

from ingestion.connectors.delivery import Store, Stream
from ingestion.retention.planning import plan
from ingestion.retention.removal import let_go
from warehouse.workshop import connect


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """fsspec finds the server and the key in its own configuration, as it would in production."""
    with s3_drop(tmp_path_factory.mktemp("s3")) as drop:
        before = dict(fsspec.config.conf)
        fsspec.config.conf["s3"] = {**drop.declared["options"], "secret": drop.secret}
        yield "s3://drop"
        fsspec.config.conf.clear()
        fsspec.config.conf.update(before)


@pytest.mark.parametrize("killed_at", [0, 1, 2, 3])
def test_files_and_cursor_land_together_on_an_object_store(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    landing = f"{bucket}/landing-{killed_at}"
    quay = Quay(Dock(House(data_dir=tmp_path / "data", landing=landing)))
    drop = tmp_path / "drop"
    drop.mkdir()
    quay.declare(
        {"kind": "files", "url": str(drop), "settle_seconds": 0},
        table("orders", {"id": "bigint"}, connector={"pattern": "*.json"}),
    )
    for number in (1, 2):
        (drop / f"{number}.json").write_text(f'[{{"id": {number}}}, {{"id": {number}0}}]')
    if killed_at:
        _end_at(monkeypatch, killed_at)
        with pytest.raises(KeyboardInterrupt):
            quay.fetch()
        monkeypatch.undo()
    fetched = quay.fetch()
    assert fetched.files in (0, 2) and quay.fetch().files == 0
    stream = Stream(quay.dock.settings, "shop", "orders")
    assert sorted(stream.cursor["taken"]) == ["1.json", "2.json"]
    assert not [name for name in stream.store.names("shop/.aside/orders") if name]
    assert quay.load().rows == 4
    assert quay.rows("select id from raw_shop.orders order by id") == [(1,), (2,), (10,), (20,)]
    [day] = [name for name in stream.store.names("shop/orders") if name]
    assert len(stream.store.names(f"shop/orders/{day}/.original")) == 2
    if not killed_at:
        _let_go(quay)
        assert not stream.store.names(f"shop/orders/{day}")
        assert quay.fetch().files == 0 and quay.load().rows == 0


def _let_go(quay: Quay) -> None:
    """Two days later, by policy; the cursor stays."""
    house = quay.dock.settings
    quay.dock.settings = house.model_copy(update={"as_of": datetime.now(UTC) + timedelta(days=2)})
    path = house.dbt_project_dir / "models" / "raw" / "contracts.yml"
    said = yaml.safe_load(path.read_text())
    said["sources"][0]["config"]["meta"]["retention"] = {"landing_days": 1}
    path.write_text(yaml.safe_dump(said))
    with closing(connect(house)) as connection:
        found = plan(quay.dock.settings, connection, {}, ())
        assert [each.files for each in let_go(house, connection, found)] == [2]


def _end_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Before the record, after it, and between two of its files."""
    left = [step]

    def counted(real: Any) -> Any:
        def once(self: Store, *arguments: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt
            return real(self, *arguments)

        return once

    monkeypatch.setattr(Store, "put", counted(Store.put))
    monkeypatch.setattr(Store, "move", counted(Store.move))
