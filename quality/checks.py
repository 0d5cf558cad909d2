"""Check files: read strictly, because Soda reads them kindly.

Soda ignores a misspelt key and falls back to a default that passes; here every key that is
not in the vocabulary is an error with its file, its line and the nearest valid word.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from catalog.catalog import Catalog, Dataset
from quality.thresholds import (
    COMPARISONS,
    LOWER_BOUNDS,
    MORE_THAN_ZERO,
    RANGES,
    UPPER_BOUNDS,
    ZERO,
    Comparison,
    Level,
    Threshold,
)
from warehouse.errors import SluiceError

CHECKS_DIR = Path(__file__).resolve().parent / "checks"
DEFAULT_WINDOW_DAYS = 28
PLATFORM_COLUMNS = ("_extra", "_batch_id", "_source_file", "_row_number", "_loaded_at")
VARIABLES = ("var.AS_OF",)
RAW_VARIABLES = (*VARIABLES, "var.WINDOW")

FORMAT_KEYS = ("regex", "name")
REFERENCE_KEYS = ("dataset", "column")
FUNCTIONS = ("avg", "sum", "min", "max", "minLength", "maxLength", "avgLength")
VALIDITY = (
    "valid_values",
    "valid_format",
    "valid_min",
    "valid_max",
    "valid_length",
    "valid_min_length",
    "valid_max_length",
    "valid_reference_data",
    "invalid_values",
    "invalid_format",
)
LISTS = ("valid_values", "invalid_values", "missing_values")
FORMATS = ("valid_format", "invalid_format", "missing_format")
DATASET_CHECKS: Mapping[str, tuple[str, ...]] = {
    "row_count": ("filter",),
    "duplicate": ("columns", "filter"),
    "failed_rows": ("expression", "query"),
    "metric": ("expression", "query"),
    "quarantined": (),
}
COLUMN_CHECKS: Mapping[str, tuple[str, ...]] = {
    "missing": ("missing_values", "missing_format", "filter"),
    "invalid": (*VALIDITY, "filter"),
    "aggregate": ("function", "filter"),
    "duplicate": ("filter",),
}
DEFAULTS: Mapping[str, Threshold] = {
    "row_count": MORE_THAN_ZERO,
    "duplicate": ZERO,
    "failed_rows": ZERO,
    "quarantined": ZERO,
    "missing": ZERO,
    "invalid": ZERO,
}
PERCENT_ALLOWED = ("duplicate", "failed_rows", "quarantined", "missing", "invalid")
OURS = ("quarantined",)


class CheckFileError(SluiceError):
    """A check file that cannot be trusted: nothing of it is run, its gate stays closed."""


@dataclass(frozen=True)
class DeclaredCheck:
    """One check that must be evaluated before its dataset's gate can open."""

    check_id: str
    type: str
    name: str
    threshold: Threshold | None
    column: str = ""
    line: int = 0
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by_soda(self) -> bool:
        return self.line > 0 and self.type not in OURS


@dataclass(frozen=True)
class CheckFile:
    key: str
    path: Path
    checks: tuple[DeclaredCheck, ...]
    filter: str = ""
    window_days: int = DEFAULT_WINDOW_DAYS


def check_path(dataset: Dataset, folder: Path = CHECKS_DIR) -> Path:
    layer, _, rest = dataset.key.partition(".")
    return folder / layer / f"{rest}.yml"


def is_due(dataset: Dataset) -> bool:
    """Must this dataset have a check file?"""
    return dataset.layer == "raw" or dataset.is_public


def load(catalog: Catalog, dataset: Dataset, folder: Path = CHECKS_DIR) -> CheckFile | None:
    """The dataset's check file, or None where none is due and none is there."""
    path = check_path(dataset, folder)
    if path.exists():
        return _Reader(path, catalog, dataset).read()
    if not is_due(dataset):
        return None
    what = "a source's entity" if dataset.layer == "raw" else "public"
    raise CheckFileError(
        f"{dataset.key} is {what} and has no check file: {_shown(path)} does not exist.",
        remedy="Write one with two to five checks; quality/README.md shows how.",
    )


def problems(catalog: Catalog, folder: Path = CHECKS_DIR) -> list[CheckFileError]:
    """Every fault of every check file, missing and stray files included."""
    found: list[CheckFileError] = []
    expected = set()
    for dataset in catalog.datasets.values():
        expected.add(check_path(dataset, folder))
        try:
            load(catalog, dataset, folder)
        except CheckFileError as error:
            found.append(error)
    for path in sorted(folder.rglob("*.y*ml")):
        if path not in expected:
            names = {str(each.relative_to(folder)): each for each in expected}
            near = _nearest(str(path.relative_to(folder)), names)
            found.append(
                CheckFileError(f"{_shown(path)} belongs to no dataset{near}.", remedy="Rename it.")
            )
    return found


class _Reader:
    def __init__(self, path: Path, catalog: Catalog, dataset: Dataset) -> None:
        self.path = path
        self.catalog = catalog
        self.dataset = dataset
        self.columns = {column.name for column in dataset.columns}
        if dataset.layer == "raw":
            self.columns |= set(PLATFORM_COLUMNS)
        self.ids: set[str] = set()

    def read(self) -> CheckFile:
        top = self._mapping(self._document(), "the file")
        allowed = ["checks", "columns", "filter"]
        if self.dataset.layer == "raw":
            allowed.append("window_days")
        self._known(top, allowed, "a check file")
        checks = [
            *self._checks(top.get("checks"), DATASET_CHECKS, ""),
            *self._columns(top.get("columns")),
        ]
        if not checks:
            raise self._error(None, "declares no check: a gate without checks proves nothing")
        window = DEFAULT_WINDOW_DAYS
        if "window_days" in top:
            window = int(self._number(top["window_days"][1], "window_days"))
            if window < 1:
                raise self._error(top["window_days"][1], "window_days must be at least 1")
        return CheckFile(
            self.dataset.key,
            self.path,
            tuple(checks),
            self._text(top["filter"][1], "filter") if "filter" in top else "",
            window,
        )

    def _document(self) -> yaml.Node:
        try:
            node = yaml.compose(self.path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        except UnicodeDecodeError as error:
            raise CheckFileError(
                f"{_shown(self.path)} is not UTF-8 text: {error.reason}.",
                remedy="Save it as UTF-8.",
            ) from error
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise CheckFileError(
                f"{_shown(self.path)}:{line} is not YAML: {error.problem}.",
                remedy="Correct the line; indent with spaces.",
            ) from error
        if node is None:
            raise self._error(None, "is empty: a gate without checks proves nothing")
        return node

    def _columns(self, entry: tuple[yaml.Node, yaml.Node] | None) -> Iterator[DeclaredCheck]:
        seen: set[str] = set()
        for node in self._items(entry, "columns"):
            column = self._mapping(node, "a column")
            self._known(column, ("name", "checks"), "a column")
            if "name" not in column:
                raise self._error(node, "a column needs its `name`")
            name = self._column(column["name"][1])
            if name in seen:
                raise self._error(node, f"column `{name}` stands here twice; join its checks")
            seen.add(name)
            if "checks" not in column:
                raise self._error(node, f"column `{name}` has no `checks`")
            yield from self._checks(column["checks"], COLUMN_CHECKS, name)

    def _checks(
        self,
        entry: tuple[yaml.Node, yaml.Node] | None,
        types: Mapping[str, tuple[str, ...]],
        column: str,
    ) -> Iterator[DeclaredCheck]:
        for node in self._items(entry, "checks"):
            check = self._mapping(node, "a check")
            if len(check) != 1:
                raise self._error(node, "a check is one word with its settings indented below it")
            [(kind, (key, body))] = check.items()
            if kind in ("schema", "freshness"):
                source = "service_level" if kind == "freshness" else "data_type"
                raise self._error(
                    key, f"`{kind}` is added by the runner, from {source} in the dbt YAML"
                )
            self._one_of(key, kind, types, "check on a column" if column else "check")
            if kind == "quarantined" and self.dataset.layer != "raw":
                raise self._error(key, "`quarantined` exists for raw datasets only")
            yield self._check(kind, types[kind], key, body, column)

    def _check(
        self, kind: str, settings: tuple[str, ...], key: yaml.Node, body: yaml.Node, column: str
    ) -> DeclaredCheck:
        empty = isinstance(body, yaml.ScalarNode) and body.tag == "tag:yaml.org,2002:null"
        given = {} if empty else self._mapping(body, f"`{kind}`")
        self._known(given, ("name", "threshold", *settings), f"`{kind}`")
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
            raise self._error(key, f"`{kind}` needs a `threshold`")
        name = self._text(given["name"][1], "name") if "name" in given else ""
        return DeclaredCheck(
            self._id(name or " ".join(filter(None, (column, values.get("function"), kind)))),
            kind,
            name or _described(kind, values, column),
            threshold,
            column,
            key.start_mark.line + 1,
            values,
        )

    def _required(self, kind: str, values: Mapping[str, Any], key: yaml.Node, column: str) -> None:
        if kind in ("failed_rows", "metric") and len(values) != 1:
            raise self._error(key, f"`{kind}` needs either an `expression` or a `query`")
        if kind == "duplicate" and not column and "columns" not in values:
            raise self._error(key, "`duplicate` of a dataset needs its `columns`")
        if kind == "aggregate" and "function" not in values:
            raise self._error(key, "`aggregate` needs a `function`")
        if kind == "invalid" and not any(word in VALIDITY for word in values):
            raise self._error(key, "`invalid` needs to be told what is valid")

    def _setting(self, word: str, node: yaml.Node) -> Any:
        if word in LISTS:
            values = [self._scalar(each, word) for each in self._sequence(node, word)]
            if not values:
                raise self._error(node, f"`{word}` is empty")
            return values
        if word in FORMATS:
            given = self._mapping(node, f"`{word}`")
            self._known(given, FORMAT_KEYS, f"`{word}`")
            if set(given) != set(FORMAT_KEYS):
                raise self._error(node, f"`{word}` needs `regex` and `name`")
            return {each: self._text(value, each) for each, (_, value) in given.items()}
        if word == "columns":
            return [self._column(each) for each in self._sequence(node, word)]
        if word == "valid_reference_data":
            return self._reference(node)
        if word == "function":
            function = self._text(node, word)
            self._one_of(node, function, FUNCTIONS, "function")
            return function
        if word.startswith("valid_"):
            return self._number(node, word)
        return self._text(node, word)

    def _reference(self, node: yaml.Node) -> dict[str, str]:
        given = self._mapping(node, "`valid_reference_data`")
        self._known(given, REFERENCE_KEYS, "`valid_reference_data`")
        if set(given) != set(REFERENCE_KEYS):
            raise self._error(node, "`valid_reference_data` needs `dataset` and `column`")
        key = self._text(given["dataset"][1], "dataset")
        self._one_of(given["dataset"][1], key, self.catalog.datasets, "dataset")
        dataset = self.catalog[key]
        column = self._text(given["column"][1], "column")
        names = [each.name for each in dataset.columns]
        if names:
            self._one_of(given["column"][1], column, names, f"column of {key}")
        return {"dataset": key, "schema": dataset.schema, "table": dataset.name, "column": column}

    def _threshold(self, node: yaml.Node, kind: str) -> Threshold:
        given = self._mapping(node, "a threshold")
        self._known(given, (*COMPARISONS, "metric", "level", "additional"), "a threshold")
        percent = False
        if "metric" in given:
            metric = self._text(given["metric"][1], "metric")
            self._one_of(given["metric"][1], metric, ("count", "percent"), "metric")
            percent = metric == "percent"
            if percent and kind not in PERCENT_ALLOWED:
                raise self._error(given["metric"][1], f"`{kind}` has no percentage")
        first = self._comparison(node, given)
        if "additional" not in given:
            return Threshold(first, None, percent)
        inner = given["additional"][1]
        nested = self._mapping(inner, "`additional`")
        self._known(nested, (*COMPARISONS, "level"), "`additional`")
        second = self._comparison(inner, nested)
        if second.level == first.level:
            raise self._error(inner, f"both thresholds have the level `{first.level}`")
        return Threshold(first, second, percent)

    def _comparison(
        self, node: yaml.Node, given: Mapping[str, tuple[yaml.Node, yaml.Node]]
    ) -> Comparison:
        words = [word for word in COMPARISONS if word in given]
        if len(words) != 1:
            raise self._error(
                node, f"a threshold needs exactly one comparison, this one has {len(words)}"
            )
        level: Level = "fail"
        if "level" in given:
            spelt = self._text(given["level"][1], "level")
            self._one_of(given["level"][1], spelt, ("fail", "warn"), "level")
            level = "warn" if spelt == "warn" else "fail"
        value = given[words[0]][1]
        if words[0] not in RANGES:
            return Comparison(words[0], self._number(value, words[0]), level)
        return Comparison(words[0], self._bounds(value, words[0]), level)

    def _bounds(self, node: yaml.Node, word: str) -> dict[str, float]:
        given = self._mapping(node, f"`{word}`")
        self._known(given, (*LOWER_BOUNDS, *UPPER_BOUNDS), f"`{word}`")
        bounds = {each: self._number(value, each) for each, (_, value) in given.items()}
        lower = [bounds[each] for each in LOWER_BOUNDS if each in bounds]
        upper = [bounds[each] for each in UPPER_BOUNDS if each in bounds]
        if len(lower) != 1 or len(upper) != 1:
            raise self._error(node, f"`{word}` needs one lower and one upper bound")
        inverted = lower[0] > upper[0] if word == "must_be_between" else lower[0] < upper[0]
        if inverted:
            raise self._error(node, f"the bounds of `{word}` are the wrong way round")
        return bounds

    # What follows reads one YAML node each.

    def _column(self, node: yaml.Node) -> str:
        name = self._text(node, "name")
        self._one_of(node, name, self.columns, f"column of {self.dataset.key}")
        return name

    def _items(self, entry: tuple[yaml.Node, yaml.Node] | None, word: str) -> list[yaml.Node]:
        return [] if entry is None else self._sequence(entry[1], word)

    def _sequence(self, node: yaml.Node, word: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, f"`{word}` must be a list")
        if not node.value:
            raise self._error(node, f"`{word}` is empty")
        return list(node.value)

    def _mapping(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, f"{what} must be keys with values (is a colon missing?)")
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            word = str(key.value)
            if word in found:
                raise self._error(key, f"`{word}` stands twice in {what}; YAML would drop one")
            found[word] = (key, value)
        return found

    def _known(
        self, given: Mapping[str, tuple[yaml.Node, yaml.Node]], words: Iterable[str], what: str
    ) -> None:
        for word, (key, _) in given.items():
            self._one_of(key, word, words, f"key of {what}")

    def _one_of(self, node: yaml.Node, word: str, words: Iterable[str], what: str) -> None:
        known = list(words)
        if word not in known:
            raise self._error(node, f"`{word}` is not a {what}{_nearest(word, known)}")

    def _scalar(self, node: yaml.Node, word: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            raise self._error(node, f"`{word}` must be a plain value")
        return yaml.safe_load(yaml.serialize(node))

    def _text(self, node: yaml.Node, word: str) -> str:
        value = self._scalar(node, word)
        if not isinstance(value, str) or not value.strip():
            raise self._error(node, f"`{word}` must be text")
        for name in re.findall(r"\$\{\s*([^}]*?)\s*\}", value):
            known = RAW_VARIABLES if self.dataset.layer == "raw" else VARIABLES
            self._one_of(node, name, known, "variable")
        return value.strip()

    def _number(self, node: yaml.Node, word: str) -> float:
        value = self._scalar(node, word)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(node, f"`{word}` must be a number, not {value!r}")
        return float(value) if isinstance(value, float) else int(value)

    def _id(self, text: str) -> str:
        slug = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "check"
        unique, count = slug, 1
        while unique in self.ids:
            count += 1
            unique = f"{slug}_{count}"
        self.ids.add(unique)
        return unique

    def _error(self, node: yaml.Node | None, what: str) -> CheckFileError:
        line = f":{node.start_mark.line + 1}" if node is not None else ""
        joint = " " if node is None else ": "
        return CheckFileError(
            f"{_shown(self.path)}{line}{joint}{what}.",
            remedy="Correct the file (quality/README.md has the words); until then its gate "
            "stays closed.",
        )


def _described(kind: str, values: Mapping[str, Any], column: str) -> str:
    if kind == "aggregate":
        return f"{values['function']} of {column}"
    if kind == "duplicate" and not column:
        return "duplicates of " + ", ".join(values["columns"])
    if kind in ("failed_rows", "metric"):
        return f"{kind.replace('_', ' ')}: {' '.join(str(next(iter(values.values()))).split())}"
    words = {"row_count": "rows", "quarantined": "quarantined rows", "duplicate": "duplicates"}
    return f"{words.get(kind, kind)} of {column}" if column else words.get(kind, kind)


def _nearest(word: str, words: Iterable[str]) -> str:
    known = sorted(words)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"; did you mean `{near[0]}`?"
    return f" (known: {', '.join(known)})" if known and len(known) <= 12 else ""


def _shown(path: Path) -> str:
    root = CHECKS_DIR.parent.parent
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
