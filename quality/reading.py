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
from quality.masking import is_personal
from quality.reading_settings import SettingReader
from quality.reading_thresholds import threshold
from quality.strict_yaml import Entry, StrictYaml
from quality.thresholds import Threshold
from quality.vocabulary import (
    ARRIVAL,
    COLUMN_CHECKS,
    DATASET_CHECKS,
    DEFAULT_WINDOW_DAYS,
    DEFAULTS,
    ON_EVERY_CHECK,
    RAW_VARIABLES,
    REVEALING,
    SHARES_DEFAULT,
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
        self.dataset = dataset
        self.settings = SettingReader(self.yaml, catalog, dataset)
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
        filter_sql = ""
        if "filter" in top:
            filter_sql = self.settings.read("", "filter", top["filter"][1], None)
        return CheckFile(self.dataset.key, self.path, tuple(checks), filter_sql, window)

    def _columns(self, entry: Entry | None) -> Iterator[DeclaredCheck]:
        seen: set[str] = set()
        for node in self._items(entry, "columns"):
            column = self.yaml.mapping(node, "a column")
            self.yaml.known(column, ("name", "checks"), "a column")
            if "name" not in column:
                raise self.yaml.error(node, "a column needs its `name`")
            name = self.settings.column(column["name"][1])
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
        self.yaml.known(given, (*ON_EVERY_CHECK, *settings), f"`{kind}`")
        other = self.settings.other(given)
        values = {
            word: self.settings.read(kind, word, node, other)
            for word, (_, node) in given.items()
            if word not in ON_EVERY_CHECK
        }
        self._required(kind, values, key, column)
        self._revealing(values, key, column)
        bound = SHARES_DEFAULT if values.get("measure") == "shares" else DEFAULTS.get(kind)
        if "threshold" in given:
            bound = threshold(self.yaml, given["threshold"][1], kind)
        if bound is None:
            raise self.yaml.error(key, f"`{kind}` needs a `threshold`")
        return self._declared(kind, values, given, bound, key, column)

    def _declared(
        self,
        kind: str,
        values: Mapping[str, Any],
        given: Mapping[str, Entry],
        bound: Threshold,
        key: Node,
        column: str,
    ) -> DeclaredCheck:
        name = self.yaml.text(given["name"][1], "name") if "name" in given else ""
        measured = values.get("function") or values.get("measure")
        trial = self.settings.trial(given["observe_only"][1]) if "observe_only" in given else None
        return DeclaredCheck(
            self._id(name or " ".join(filter(None, (column, measured, kind)))),
            kind,
            name or _described(kind, values, column),
            bound,
            column,
            key.start_mark.line + 1,
            values,
            trial,
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
        if kind == "reconciliation" and "with" not in values:
            raise self.yaml.error(key, "`reconciliation` needs the dataset to compare `with`")
        if kind == "reconciliation" and "with_expression" in values and "expression" not in values:
            raise self.yaml.error(key, "`with_expression` needs an `expression` to be held against")
        if column and kind in ("anomaly", "change_over_time") and "measure" not in values:
            raise self.yaml.error(key, f"`{kind}` of a column needs its `measure`")
        if values.get("measure") == "shares" and "by_day" not in values:
            raise self.yaml.error(key, "`shares` needs `by_day`: its history is in the data")
        if values.get("compared_with") == "previous" and values.get("values", 1) != 1:
            raise self.yaml.error(key, "`previous` is one value; for more say `last_values`")
        if values.get("by_day") == ARRIVAL and (column or {"expression", "filter"} & set(values)):
            raise self.yaml.error(key, f"by `{ARRIVAL}` only the rows of files are counted")

    def _revealing(self, values: Mapping[str, Any], key: Node, column: str) -> None:
        """A check's value goes into the log, so it must not be what one person is or has."""
        measured = values.get("function") or values.get("measure")
        if column and measured in REVEALING and is_personal(self.dataset, column):
            raise self.yaml.error(
                key, f"`{column}` is personal, and `{measured}` of it would show one person's"
            )

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
    what = f"{values['measure']} of {column}" if column and "measure" in values else ""
    what = what or str(values.get("expression", "rows"))
    if kind == "reconciliation":
        return f"{what} as in {values['with']}"
    if kind == "anomaly":
        return f"{what} as usual"
    if kind == "change_over_time":
        return (
            f"{what} compared with {values.get('compared_with', 'last_values').replace('_', ' ')}"
        )
    words = {"row_count": "rows", "quarantined": "quarantined rows", "duplicate": "duplicates"}
    return f"{words.get(kind, kind)} of {column}" if column else words.get(kind, kind)
