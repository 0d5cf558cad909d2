"""From the YAML of one check's settings to values; each must fit its dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from yaml import Node

from catalog.catalog import Catalog, Dataset
from ingestion.ledger import SCHEMA as LEDGER
from quality import sql_names
from quality.check_file import Trial
from quality.strict_yaml import StrictYaml
from quality.vocabulary import (
    ARRIVAL,
    COMPARED_WITH,
    DAILY_MEASURES,
    FORMAT_KEYS,
    FORMATS,
    FUNCTIONS,
    LISTS,
    MEASURES,
    OBSERVE_KEYS,
    PLATFORM_COLUMNS,
    REFERENCE_KEYS,
    TOLERANCE_KEYS,
)

WORDS = {"function": FUNCTIONS, "compared_with": COMPARED_WITH}
COUNTS = {"values": 1, "days": 7, "at_least_rows": 1}
"""Whole numbers, with the least that makes sense."""


@dataclass(frozen=True)
class SettingReader:
    yaml: StrictYaml
    catalog: Catalog
    dataset: Dataset

    @property
    def columns(self) -> frozenset[str]:
        return columns_of(self.dataset)

    def read(self, kind: str, word: str, node: Node, other: Dataset | None) -> Any:
        """`other` is the dataset that a reconciliation compares with."""
        if word in LISTS:
            return [self.yaml.scalar(each, word) for each in self.yaml.sequence(node, word)]
        if word in FORMATS:
            return self._format(node, word)
        if word in WORDS:
            return self._word(node, word, WORDS[word])
        if word in COUNTS:
            return self._count(node, word)
        match word:
            case "columns" | "by":
                return [self._column(each, word, other) for each in self.yaml.sequence(node, word)]
            case "valid_reference_data":
                return self._reference(node)
            case "measure":
                known = DAILY_MEASURES if kind == "anomaly" else MEASURES
                return self._word(node, word, known)
            case "with":
                return self._dataset(node, word).key
            case "tolerance":
                return self._tolerance(node)
            case "by_day":
                return self._day(node)
            case "query":
                return self._query(node)
            case "expression" | "filter":
                return self.sql(node, word, self.columns, self.dataset)
            case "with_expression" | "with_filter" if other is not None:
                return self.sql(node, word, columns_of(other), other)
        if word.startswith("valid_"):
            return self.yaml.number(node, word)
        return self.yaml.text(node, word)

    def other(self, given: Mapping[str, tuple[Node, Node]]) -> Dataset | None:
        return self._dataset(given["with"][1], "with") if "with" in given else None

    def sql(self, node: Node, word: str, columns: Iterable[str], dataset: Dataset) -> str:
        text = self.yaml.text(node, word)
        fault = sql_names.syntax_fault(text, is_query=False)
        if fault:
            raise self.yaml.error(node, f"`{word}` is not SQL: {fault}")
        known = {name.lower(): name for name in columns}
        for name in sql_names.columns_of(text):
            if known and name.lower() not in known:
                self.yaml.one_of(node, name, known.values(), f"column of {dataset.key}")
        return text

    def trial(self, node: Node) -> Trial:
        given = self.yaml.mapping(node, "`observe_only`")
        self.yaml.known(given, OBSERVE_KEYS, "`observe_only`")
        if set(given) != set(OBSERVE_KEYS):
            raise self.yaml.error(node, "`observe_only` needs `until` and `because`")
        until = self.yaml.scalar(given["until"][1], "until")
        if type(until) is not date:
            raise self.yaml.error(given["until"][1], "`until` must be a day, as 2026-12-31")
        return Trial(until, self.yaml.text(given["because"][1], "because"))

    def column(self, node: Node) -> str:
        return self._column(node, "name", None)

    def _column(self, node: Node, word: str, other: Dataset | None) -> str:
        name = self.yaml.text(node, word)
        self.yaml.one_of(node, name, self.columns, f"column of {self.dataset.key}")
        if word == "by" and other is not None and columns_of(other):
            self.yaml.one_of(node, name, columns_of(other), f"column of {other.key}")
        return name

    def _format(self, node: Node, word: str) -> dict[str, str]:
        given = self.yaml.mapping(node, f"`{word}`")
        self.yaml.known(given, FORMAT_KEYS, f"`{word}`")
        if set(given) != set(FORMAT_KEYS):
            raise self.yaml.error(node, f"`{word}` needs `regex` and `name`")
        return {each: self.yaml.text(value, each) for each, (_, value) in given.items()}

    def _word(self, node: Node, word: str, known: Iterable[str]) -> str:
        value = self.yaml.text(node, word)
        self.yaml.one_of(node, value, known, word)
        return value

    def _count(self, node: Node, word: str) -> int:
        value = self.yaml.number(node, word)
        if value != int(value) or value < COUNTS[word]:
            raise self.yaml.error(node, f"`{word}` must be a whole number, {COUNTS[word]} or more")
        return int(value)

    def _dataset(self, node: Node, word: str) -> Dataset:
        key = self.yaml.text(node, word)
        self.yaml.one_of(node, key, self.catalog.datasets, "dataset")
        return self.catalog[key]

    def _reference(self, node: Node) -> dict[str, str]:
        given = self.yaml.mapping(node, "`valid_reference_data`")
        self.yaml.known(given, REFERENCE_KEYS, "`valid_reference_data`")
        if set(given) != set(REFERENCE_KEYS):
            raise self.yaml.error(node, "`valid_reference_data` needs `dataset` and `column`")
        dataset = self._dataset(given["dataset"][1], "dataset")
        column = self.yaml.text(given["column"][1], "column")
        names = [each.name for each in dataset.columns]
        if names:
            self.yaml.one_of(given["column"][1], column, names, f"column of {dataset.key}")
        return {
            "dataset": dataset.key,
            "schema": dataset.schema,
            "table": dataset.name,
            "column": column,
        }

    def _tolerance(self, node: Node) -> dict[str, float]:
        given = self.yaml.mapping(node, "`tolerance`")
        self.yaml.known(given, TOLERANCE_KEYS, "`tolerance`")
        found = {word: self.yaml.number(value, word) for word, (_, value) in given.items()}
        if not found or any(value < 0 for value in found.values()):
            raise self.yaml.error(node, "`tolerance` needs `absolute` or `percent`, 0 or more")
        return found

    def _day(self, node: Node) -> str:
        name = self.yaml.text(node, "by_day")
        dated = {
            column.name
            for column in self.dataset.columns
            if column.data_type.lower().startswith(("date", "timestamp"))
        }
        if self.dataset.layer == "raw":
            dated.add(ARRIVAL)
        self.yaml.one_of(node, name, dated, f"date or time of {self.dataset.key}")
        return name

    def _query(self, node: Node) -> str:
        text = self.yaml.text(node, "query")
        fault = sql_names.syntax_fault(text, is_query=True)
        if fault:
            raise self.yaml.error(node, f"`query` is not SQL: {fault}")
        known = {each.relation for each in self.catalog.datasets.values()}
        text = sql_names.placed(text, known)
        for table in sorted(sql_names.tables_of(text)):
            if not table.startswith(f"{LEDGER}."):
                self.yaml.one_of(node, table, known, "table")
        return text


def columns_of(dataset: Dataset) -> frozenset[str]:
    names = frozenset(column.name for column in dataset.columns)
    return names | frozenset(PLATFORM_COLUMNS) if dataset.layer == "raw" else names
