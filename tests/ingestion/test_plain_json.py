"""What DuckDB takes for JSON and other databases do not is found, however it is spelled."""

from __future__ import annotations

import json
from itertools import product

import duckdb
import pytest

from ingestion.plain_json import MAX_DEPTH, is_odd


def spellings(word: str) -> list[str]:
    return ["".join(letters) for letters in product(*((c.lower(), c.upper()) for c in word))]


def odd_ones(texts: list[str], *, is_rewritten: bool) -> list[str]:
    rows = duckdb.execute(
        f"""select text from (select unnest(?::varchar[]) as text)
            where {is_odd("text", is_rewritten=is_rewritten)}""",
        [texts],
    ).fetchall()
    return [text for (text,) in rows]


@pytest.mark.parametrize("is_rewritten", [True, False])
def test_words_that_are_numbers_to_duckdb_alone(is_rewritten: bool) -> None:
    words = [*spellings("nan"), *spellings("inf"), "Infinity", "-iNFINITY", "-inf"]
    texts = [f'{{"a":{word},"b":1}}' for word in words] + [f"[1,{word}]" for word in words]
    assert all(
        duckdb.execute("select json_valid(?)", [text]).fetchone() == (True,) for text in texts
    )
    assert odd_ones(texts, is_rewritten=is_rewritten) == texts


@pytest.mark.parametrize("is_rewritten", [True, False])
def test_the_same_words_in_texts_are_plain(is_rewritten: bool) -> None:
    words = [*spellings("nan"), *spellings("inf"), "Infinity", ", ]", "FINANCE", '"inf"']
    texts = [json.dumps({"a": word, word: None}) for word in words] + ["null", "[]", "-1.5e3"]
    assert odd_ones(texts, is_rewritten=is_rewritten) == []


def test_depth() -> None:
    deep, too_deep = ("[" * n + "]" * n for n in (MAX_DEPTH, MAX_DEPTH + 1))
    wide = "[" + ",".join(["[]"] * 3 * MAX_DEPTH) + "]"
    assert odd_ones([deep, too_deep, wide], is_rewritten=True) == [too_deep]
