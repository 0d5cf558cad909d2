"""From a check file's YAML to declared checks; what is not in the vocabulary is an error.

Soda ignores a misspelt key and falls back to a default that passes; here each one is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yaml import Node, ScalarNode

from catalog.catalog import Catalog, Dataset
from quality.check_file import CheckFile, DeclaredCheck
from quality.strict_yaml import Entry, StrictYaml
from quality.thresholds import (
    COMPARISONS,
    LOWER_BOUNDS,
    RANGES,
    UPPER_BOUNDS,
    Comparison,
    Level,
    Threshold,
)
from quality.vocabulary import (
    COLUMN_CHECKS,
    DATASET_CHECKS,
    DEFAULT_WINDOW_DAYS,
    DEFAULTS,
    FORMAT_KEYS,
    FORMATS,
    FUNCTIONS,
    LISTS,
    PERCENT_ALLOWED,
    PLATFORM_COLUMNS,
    RAW_VARIABLES,
    REFERENCE_KEYS,
    VALIDITY,
    VARIABLES,
)


def read(path: Path, catalog: Catalog, dataset: Dataset) -> CheckFile:
    return _Reader(path, catalog, dataset).read()


class _Reader:
    def __init__(self, path: Path, catalog: Catalog, dataset: Dataset) -> None:
        variables = RAW_VARIABLES if dataset.layer == "raw" else VARIABLES
        self.yaml = StrictYaml(path, variables)
        self.path = path
        self.catalog = catalog
        self.dataset = dataset
        self.columns = {column.name for column in dataset.columns}
        if dataset.layer == "raw":
            self.columns |= set(PLATFORM_COLUMNS)
        self.ids: set[str] = set()

    def read(self) -> CheckFile:
        top = self.yaml.mapping(self.yaml.document(), "the file")
        allowed = ["checks", "columns", "filter"]
        if self.dataset.layer == "raw":
            allowed.append("window_days")
        self.yaml.known(top, allowed, "a check file")
        checks = [
            *self._checks(top.get("checks"), DATASET_CHECKS, ""),
            *self._columns(top.get("columns")),
        ]
        if not checks:
            raise self.yaml.error(None, "declares no check: a gate without checks proves nothing")
        window = DEFAULT_WINDOW_DAYS
        if "window_days" in top:
            window = int(self.yaml.number(top["window_days"][1], "window_days"))
            if window < 1:
                raise self.yaml.error(top["window_days"][1], "window_days must be at least 1")
        return CheckFile(
            self.dataset.key,
            self.path,
            tuple(checks),
            self.yaml.text(top["filter"][1], "filter") if "filter" in top else "",
            window,
        )

    def _columns(self, entry: Entry | None) -> Iterator[DeclaredCheck]:
        seen: set[str] = set()
        for node in self._items(entry, "columns"):
            column = self.yaml.mapping(node, "a column")
            self.yaml.known(column, ("name", "checks"), "a column")
            if "name" not in column:
                raise self.yaml.error(node, "a column needs its `name`")
            name = self._column(column["name"][1])
            if name in seen:
                raise self.yaml.error(node, f"column `{name}` stands here twice; join its checks")
            seen.add(name)
            if "checks" not in column:
                raise self.yaml.error(node, f"column `{name}` has no `checks`")
            yield from self._checks(column["checks"], COLUMN_CHECKS, name)

    def _checks(
        self,
        entry: Entry | None,
        types: Mapping[str, tuple[str, ...]],
        column: str,
    ) -> Iterator[DeclaredCheck]:
        for node in self._items(entry, "checks"):
            check = self.yaml.mapping(node, "a check")
            if len(check) != 1:
                raise self.yaml.error(node, "a check is one word, its settings indented below")
            [(kind, (key, body))] = check.items()
            if kind in ("schema", "freshness"):
                source = "service_level" if kind == "freshness" else "data_type"
                raise self.yaml.error(
                    key, f"`{kind}` is added by the runner, from {source} in the dbt YAML"
                )
            self.yaml.one_of(key, kind, types, "check on a column" if column else "check")
            if kind == "quarantined" and self.dataset.layer != "raw":
                raise self.yaml.error(key, "`quarantined` exists for raw datasets only")
            yield self._check(kind, types[kind], key, body, column)

    def _check(
        self, kind: str, settings: tuple[str, ...], key: Node, body: Node, column: str
    ) -> DeclaredCheck:
        empty = isinstance(body, ScalarNode) and body.tag == "tag:yaml.org,2002:null"
        given = {} if empty else self.yaml.mapping(body, f"`{kind}`")
        self.yaml.known(given, ("name", "threshold", *settings), f"`{kind}`")
        values = {
            word: self._setting(word, node)
            for word, (_, node) in given.items()
            if word not in ("name", "threshold")
        }
        self._required(kind, values, key, column)
        threshold = DEFAULTS.get(kind)
        if "threshold" in given:
            threshold = self._threshold(given["threshold"][1], kind)
        if threshold is None:
            raise self.yaml.error(key, f"`{kind}` needs a `threshold`")
        name = self.yaml.text(given["name"][1], "name") if "name" in given else ""
        return DeclaredCheck(
            self._id(name or " ".join(filter(None, (column, values.get("function"), kind)))),
            kind,
            name or _described(kind, values, column),
            threshold,
            column,
            key.start_mark.line + 1,
            values,
        )

    def _required(self, kind: str, values: Mapping[str, Any], key: Node, column: str) -> None:
        if kind in ("failed_rows", "metric") and len(values) != 1:
            raise self.yaml.error(key, f"`{kind}` needs either an `expression` or a `query`")
        if kind == "duplicate" and not column and "columns" not in values:
            raise self.yaml.error(key, "`duplicate` of a dataset needs its `columns`")
        if kind == "aggregate" and "function" not in values:
            raise self.yaml.error(key, "`aggregate` needs a `function`")
        if kind == "invalid" and not any(word in VALIDITY for word in values):
            raise self.yaml.error(key, "`invalid` needs to be told what is valid")

    def _setting(self, word: str, node: Node) -> Any:
        if word in LISTS:
            values = [self.yaml.scalar(each, word) for each in self.yaml.sequence(node, word)]
            if not values:
                raise self.yaml.error(node, f"`{word}` is empty")
            return values
        if word in FORMATS:
            given = self.yaml.mapping(node, f"`{word}`")
            self.yaml.known(given, FORMAT_KEYS, f"`{word}`")
            if set(given) != set(FORMAT_KEYS):
                raise self.yaml.error(node, f"`{word}` needs `regex` and `name`")
            return {each: self.yaml.text(value, each) for each, (_, value) in given.items()}
        if word == "columns":
            return [self._column(each) for each in self.yaml.sequence(node, word)]
        if word == "valid_reference_data":
            return self._reference(node)
        if word == "function":
            function = self.yaml.text(node, word)
            self.yaml.one_of(node, function, FUNCTIONS, "function")
            return function
        if word.startswith("valid_"):
            return self.yaml.number(node, word)
        return self.yaml.text(node, word)

    def _reference(self, node: Node) -> dict[str, str]:
        given = self.yaml.mapping(node, "`valid_reference_data`")
        self.yaml.known(given, REFERENCE_KEYS, "`valid_reference_data`")
        if set(given) != set(REFERENCE_KEYS):
            raise self.yaml.error(node, "`valid_reference_data` needs `dataset` and `column`")
        key = self.yaml.text(given["dataset"][1], "dataset")
        self.yaml.one_of(given["dataset"][1], key, self.catalog.datasets, "dataset")
        dataset = self.catalog[key]
        column = self.yaml.text(given["column"][1], "column")
        names = [each.name for each in dataset.columns]
        if names:
            self.yaml.one_of(given["column"][1], column, names, f"column of {key}")
        return {"dataset": key, "schema": dataset.schema, "table": dataset.name, "column": column}

    def _threshold(self, node: Node, kind: str) -> Threshold:
        given = self.yaml.mapping(node, "a threshold")
        self.yaml.known(given, (*COMPARISONS, "metric", "level", "additional"), "a threshold")
        percent = False
        if "metric" in given:
            metric = self.yaml.text(given["metric"][1], "metric")
            self.yaml.one_of(given["metric"][1], metric, ("count", "percent"), "metric")
            percent = metric == "percent"
            if percent and kind not in PERCENT_ALLOWED:
                raise self.yaml.error(given["metric"][1], f"`{kind}` has no percentage")
        first = self._comparison(node, given)
        if "additional" not in given:
            return Threshold(first, None, percent)
        inner = given["additional"][1]
        nested = self.yaml.mapping(inner, "`additional`")
        self.yaml.known(nested, (*COMPARISONS, "level"), "`additional`")
        second = self._comparison(inner, nested)
        if second.level == first.level:
            raise self.yaml.error(inner, f"both thresholds have the level `{first.level}`")
        return Threshold(first, second, percent)

    def _comparison(self, node: Node, given: Mapping[str, Entry]) -> Comparison:
        words = [word for word in COMPARISONS if word in given]
        if len(words) != 1:
            raise self.yaml.error(
                node, f"a threshold needs exactly one comparison, this one has {len(words)}"
            )
        level: Level = "fail"
        if "level" in given:
            spelt = self.yaml.text(given["level"][1], "level")
            self.yaml.one_of(given["level"][1], spelt, ("fail", "warn"), "level")
            level = "warn" if spelt == "warn" else "fail"
        value = given[words[0]][1]
        if words[0] not in RANGES:
            return Comparison(words[0], self.yaml.number(value, words[0]), level)
        return Comparison(words[0], self._bounds(value, words[0]), level)

    def _bounds(self, node: Node, word: str) -> dict[str, float]:
        given = self.yaml.mapping(node, f"`{word}`")
        self.yaml.known(given, (*LOWER_BOUNDS, *UPPER_BOUNDS), f"`{word}`")
        bounds = {each: self.yaml.number(value, each) for each, (_, value) in given.items()}
        lower = [bounds[each] for each in LOWER_BOUNDS if each in bounds]
        upper = [bounds[each] for each in UPPER_BOUNDS if each in bounds]
        if len(lower) != 1 or len(upper) != 1:
            raise self.yaml.error(node, f"`{word}` needs one lower and one upper bound")
        inverted = lower[0] > upper[0] if word == "must_be_between" else lower[0] < upper[0]
        if inverted:
            raise self.yaml.error(node, f"the bounds of `{word}` are the wrong way round")
        return bounds

    def _column(self, node: Node) -> str:
        name = self.yaml.text(node, "name")
        self.yaml.one_of(node, name, self.columns, f"column of {self.dataset.key}")
        return name

    def _items(self, entry: Entry | None, word: str) -> list[Node]:
        return [] if entry is None else self.yaml.sequence(entry[1], word)

    def _id(self, text: str) -> str:
        slug = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "check"
        unique, count = slug, 1
        while unique in self.ids:
            count += 1
            unique = f"{slug}_{count}"
        self.ids.add(unique)
        return unique


def _described(kind: str, values: Mapping[str, Any], column: str) -> str:
    if kind == "aggregate":
        return f"{values['function']} of {column}"
    if kind == "duplicate" and not column:
        return "duplicates of " + ", ".join(values["columns"])
    if kind in ("failed_rows", "metric"):
        return f"{kind.replace('_', ' ')}: {' '.join(str(next(iter(values.values()))).split())}"
    words = {"row_count": "rows", "quarantined": "quarantined rows", "duplicate": "duplicates"}
    return f"{words.get(kind, kind)} of {column}" if column else words.get(kind, kind)
