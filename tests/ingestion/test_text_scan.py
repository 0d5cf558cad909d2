"""A text is looked at in blocks: wherever they begin, the same is found."""

from __future__ import annotations

import io

import pytest

from ingestion import text_scan
from ingestion.text_scan import BOM, Scan, Unfit, blocks, scan_text

LIMIT = 1000
BLOCKS = (1, 2, 3, 5, 1000)
TEXTS = {
    "nothing": (b"", Scan()),
    "one line without an end": (b"abc", Scan(lines=1, longest=3, first_line=b"abc")),
    "a longest line in the middle": (
        b"a\nbcd\nef\n",
        Scan(lines=3, longest=3, first_line=b"a", breaks=3),
    ),
    "a longest line at the end": (
        b"a\n\nbc",
        Scan(lines=3, longest=2, first_line=b"a", breaks=2),
    ),
    "an empty first line": (b"\n\nb\n", Scan(lines=3, longest=1, breaks=3)),
    "both ways to end a line": (
        b"a\r\nb\n\r\n",
        Scan(lines=3, longest=2, carriage_returns=2, first_line=b"a\r", breaks=3),
    ),
    "a carriage return that ends nothing": (
        b"a\rb\n",
        Scan(lines=1, longest=3, first_line=b"a\rb", breaks=1),
    ),
    "a mark, and characters of several bytes": (
        BOM + "é\n日本\n".encode(),
        Scan(lines=2, longest=6, first_line="é".encode(), breaks=2),
    ),
}  # fmt: skip


def looked_at(content: bytes, block: int, monkeypatch: pytest.MonkeyPatch) -> Scan:
    monkeypatch.setattr(text_scan, "_LOOK", block)
    return scan_text(blocks(io.BytesIO(content)), LIMIT)


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_found_is_the_same_in_blocks_of_any_size(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, expected = TEXTS[name]
    for block in BLOCKS:
        assert looked_at(content, block, monkeypatch) == expected, f"blocks of {block}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a\nb\xff\n", "not UTF-8 (line 2: invalid start byte)"),
        ("a\n日".encode()[:-1], "not UTF-8 (line 2: unexpected end of data)"),
        (b"a\nb\n\0\n", "not UTF-8 text (line 3 contains zero bytes)"),
        ("é\0".encode(), "not UTF-8 text (line 1 contains zero bytes)"),
    ],
)
def test_what_is_no_text_is_told_with_its_line(
    content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for block in BLOCKS:
        with pytest.raises(Unfit) as refused:
            looked_at(content, block, monkeypatch)
        assert reason in refused.value.reason, f"blocks of {block}"


def test_of_an_endless_first_line_no_more_is_kept_than_a_line_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scan = looked_at(b"x" * 5000, 100, monkeypatch)
    assert scan.longest == 5000
    assert LIMIT < len(scan.first_line) <= LIMIT + 100
