"""Lines are the same, and have the same numbers, wherever a chunk of them ends."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random

import pytest

from ingestion import line_chunks
from ingestion.contracts import Column, Contract
from ingestion.inspection import Inspected, Numbered, inspect
from ingestion.landing import LandedFile, Landing
from ingestion.line_chunks import chunks, chunks_of, lines_table
from ingestion.validation import TOO_LONG
from warehouse.errors import SluiceError
from warehouse.settings import Settings

CONTRACT = Contract(
    "shop", "orders", "raw_shop", "jsonl", (Column("a", "varchar"),), max_line_bytes=300
)
Line = tuple[int, str, int, int, str]


def land(settings: Settings, name: str, content: bytes) -> Numbered:
    path = Path(settings.landing_url) / "shop/orders/2026-01-01" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    file = LandedFile("shop", "orders", "2026-01-01", name, len(content), "1")
    found = inspect(Landing(settings), CONTRACT, file)
    assert isinstance(found, Inspected)
    return Numbered(int(name.split(".")[0]), found)


def read(settings: Settings, files: list[Numbered]) -> tuple[list[Line], int]:
    """Every line: batch, file, row, fault and text; and in how many chunks they came."""
    found: list[Line] = []
    number = 0
    for chunk in chunks(Landing(settings), CONTRACT, files):
        number += 1
        lines, row_counts = lines_table(chunk)
        rows = [tuple(row.values()) for row in lines.to_pylist()]
        assert sum(row_counts.values()) == len(rows)
        found += [
            (batch, path, row, fault, text.rstrip("\n")) for batch, path, row, fault, text in rows
        ]
    return found, number


@pytest.mark.parametrize("longest", [300, 900])
def test_every_line_is_read_once_and_has_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, longest: int
) -> None:
    settings, chance = Settings(data_dir=tmp_path), Random(longest)
    files: list[Numbered] = []
    expected: list[Line] = []
    for batch in range(40):
        lines = [
            chance.choice("aé") * (chance.randrange(longest) // 2)
            for _ in range(chance.randrange(30))
        ]
        end = chance.choice(["\n", "\r\n"])
        content = end.join([*lines, ""] if chance.random() < 0.8 else lines).encode()
        content = content and chance.choice([b"", b"\xef\xbb\xbf"]) + content
        is_packed = chance.random() < 0.2
        file = land(
            settings,
            f"{batch}.jsonl{'.gz' if is_packed else ''}",
            gzip.compress(content) if is_packed else content,
        )
        files.append(file)
        texts = content.removeprefix(b"\xef\xbb\xbf").decode().split("\n")
        for row, text in enumerate(texts[:-1] if not texts[-1] else texts, start=1):
            is_long = len(text.encode()) > CONTRACT.max_line_bytes
            fault, shown = (TOO_LONG, text.encode()[:500].decode()) if is_long else (0, text)
            if not is_long or longest > CONTRACT.max_line_bytes:
                expected.append((batch, file.path, row, fault, shown))
    assert any(file.inspected.has_long_lines for file in files) == (longest > 300)

    for size, block in [(1, 7), (400, 16), (3000, 1000), (10**6, 10**6)]:
        monkeypatch.setattr(line_chunks, "_CHUNK_BYTES", size)
        monkeypatch.setattr(line_chunks, "BLOCK", block)
        found, number = read(settings, files)
        assert [shorter(line) for line in found] == [shorter(line) for line in expected]
        assert (number == 1) == (size == 10**6)


def shorter(line: Line) -> Line:
    """Of a line that is too long, how much is kept is not the point."""
    return (*line[:4], line[4][:140] if line[3] else line[4])


def test_lines_that_were_received_before_are_rows_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    received = [(3, "a", 7, "one"), (3, "a", 9, "two\n"), (4, "b", 1, "é")]
    for size, number in [(10**6, 1), (4, 2), (1, 3)]:
        monkeypatch.setattr(line_chunks, "_CHUNK_BYTES", size)
        read = [lines_table(chunk) for chunk in chunks_of(received)]
        assert len(read) == number
        found = [tuple(row.values()) for lines, _ in read for row in lines.to_pylist()]
        assert found == [(3, "a", 7, 0, "one\n"), (3, "a", 9, 0, "two\n"), (4, "b", 1, 0, "é\n")]


def test_a_file_that_changes_while_it_is_read_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path)
    file = land(settings, "1.jsonl", b"short\n")
    land(settings, "1.jsonl", b"x" * 2000)
    monkeypatch.setattr(line_chunks, "_CHUNK_BYTES", 100)
    monkeypatch.setattr(line_chunks, "BLOCK", 64)
    with pytest.raises(SluiceError, match=r"1\.jsonl changed while it was loaded"):
        read(settings, [file])
