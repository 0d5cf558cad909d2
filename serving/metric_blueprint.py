"""A new metric planned: what it is made of, and where in the semantic layer that stands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from catalog.catalog import Catalog, Dataset
from catalog.classification import PERSONAL
from catalog.keys import key as tested_key
from serving.definitions import did_you_mean
from serving.published import nearest
from warehouse.errors import SluiceError

FOLDER: Final = PurePosixPath("dbt_project/models/metrics")
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
Node = Mapping[str, Any]


@dataclass(frozen=True)
class NewMeasure:
    """What is added up: of which dataset, in which semantic model, along which time."""

    name: str
    agg: str
    expr: str
    dataset: Dataset
    time: str
    # The semantic model that it is added to; a new one where the dataset has none.
    model: str = ""
    entities: tuple[Mapping[str, str], ...] = ()
    primary_entity: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class MetricBlueprint:
    name: str
    kind: str
    description: str
    label: str
    owner: str
    tier: int
    unit: str
    type_params: Mapping[str, Any]
    file: PurePosixPath
    measure: NewMeasure | None = None


@dataclass(frozen=True)
class Layer:
    """The semantic layer as it is, in dbt's words."""

    catalog: Catalog

    @property
    def models(self) -> dict[str, Node]:
        return {
            each["name"]: each for each in self.catalog.manifest.get("semantic_models", {}).values()
        }

    @property
    def metrics(self) -> dict[str, Node]:
        return {each["name"]: each for each in self.catalog.manifest.get("metrics", {}).values()}

    def metric(self, name: str) -> Node:
        if name not in self.metrics:
            raise SluiceError(
                f"There is no metric {name!r}.", remedy=did_you_mean(name, self.metrics)
            )
        return self.metrics[name]

    def measure(self, name: str) -> tuple[str, Node]:
        """A measure by its name or by that of its simple metric, and its semantic model."""
        metric = self.metrics.get(name)
        if metric and metric["type"] == "simple" and not metric["filter"]:
            name = metric["type_params"]["measure"]["name"]
        for model in self.models.values():
            if name in {each["name"] for each in model["measures"]}:
                return name, model
        known = [each["name"] for model in self.models.values() for each in model["measures"]]
        near = nearest(name, [*known, *self.metrics])
        raise SluiceError(
            f"There is no measure {name!r}.",
            remedy=f"Did you mean {' or '.join(near)}?" if near else "Make one: --from, --agg.",
        )

    def of_dataset(self, dataset: Dataset) -> Node | None:
        for model in self.models.values():
            if dataset.unique_id in model["depends_on"]["nodes"]:
                return model
        return None


def place_of(node: Node) -> PurePosixPath:
    return PurePosixPath("dbt_project") / str(node["original_file_path"])


def refuse_name(layer: Layer, name: str) -> None:
    if not NAME.fullmatch(name):
        raise SluiceError(f"{name!r} is no name of a metric.", remedy="The business's own word.")
    if name in layer.metrics:
        raise SluiceError(f"The metric {name} exists already.", remedy="Take another name.")


def new_measure(
    layer: Layer, name: str, dataset: Dataset, agg: str, expr: str, time: str
) -> NewMeasure:
    """In the dataset's semantic model, or in one of its own."""
    if not dataset.is_public:
        raise SluiceError(
            f"{dataset.key} is not published, and metrics are asked of what is.",
            remedy="Say `access: public` in its YAML, or name a mart.",
        )
    columns = {each.name: each for each in dataset.columns}
    if expr and expr not in columns:
        raise SluiceError(
            f"{dataset.key} has no column {expr}.", remedy=f"It has: {', '.join(columns)}."
        )
    if not expr and agg != "count":
        raise SluiceError(f"{agg} of what?", remedy="Name a column with --column.")
    if expr and columns[expr].classification == PERSONAL:
        raise SluiceError(
            f"{dataset.key}.{expr} is personal: no metric is made of it.",
            remedy="Take another column, or count rows.",
        )
    word = {"sum": "total", "count": "number", "count_distinct": "number"}.get(agg, agg)
    measure = f"{name}_{word}"
    if agg == "count":
        agg, expr = "sum", f"case when {expr} is null then 0 else 1 end" if expr else "1"
    there = layer.of_dataset(dataset)
    if there is not None:
        return NewMeasure(measure, agg, expr, dataset, time or _time_of(there), str(there["name"]))
    along = time or _time(dataset)
    key = tested_key(layer.catalog, dataset)
    entities = tuple(_entities(layer, key, columns))
    has_primary = any(each["type"] == "primary" for each in entities)
    taken = {str(each["expr"]) for each in entities}
    dimensions = [
        (each.name, each.description)
        for each in dataset.columns
        if each.data_type in ("varchar", "boolean") and each.name not in taken
        and not each.name.endswith(("_id", "_key")) and each.classification != PERSONAL
        and _is_dimension(each.name)
    ]  # fmt: skip
    return NewMeasure(
        measure, agg, expr, dataset, along, "", entities,
        "" if has_primary else f"{dataset.name}_row", tuple(dimensions),
    )  # fmt: skip


def _is_dimension(column: str) -> bool:
    """MetricFlow keeps some words for itself, and takes no single letter for a name."""
    from dbt_semantic_interfaces.validations.unique_valid_name import UniqueAndValidNameRule

    return not UniqueAndValidNameRule.check_valid_name(column)


def grain_of(column: str) -> str:
    """month_on is a month's first day: finer than by month nothing can be said."""
    word = column.partition("_")[0]
    return word if word in ("week", "month", "quarter", "year") else "day"


def named_in(layer: Layer, expression: str) -> list[str]:
    """The metrics that a formula names."""
    words = re.findall(r"[a-z_][a-z0-9_]*", expression.lower())
    found = [each for each in dict.fromkeys(words) if each in layer.metrics]
    if not found:
        raise SluiceError(
            f"{expression!r} names no metric.", remedy="`sluice metrics list` shows them."
        )
    return found


def inherited(nodes: Sequence[Node]) -> Mapping[str, Any]:
    """Owner and tier of the first input that says them, and how the inputs may be asked."""
    metas = [dict((each.get("config") or {}).get("meta") or {}) for each in nodes]
    owner = next((str(each["owner"]) for each in metas if "owner" in each), "data")
    return {"owner": owner, "tier": min((int(each.get("tier", 3)) for each in metas), default=3)}


def _time(dataset: Dataset) -> str:
    days = [each.name for each in dataset.columns if each.data_type == "date"]
    times = [each.name for each in dataset.columns if each.data_type == "timestamptz"]
    if dataset.partition_by:
        return dataset.partition_by
    if not days and not times:
        raise SluiceError(
            f"{dataset.key} has no date: a number over no time is no metric.",
            remedy="Join a date to it in a model of its own.",
        )
    return (days or times)[0]


def _time_of(model: Node) -> str:
    return str((model.get("defaults") or {}).get("agg_time_dimension") or "")


def _entities(
    layer: Layer, key: Sequence[str], columns: Mapping[str, Any]
) -> list[Mapping[str, str]]:
    """The key, if it is one of an entity; and the keys of entities that others know."""
    known = {
        str(each.get("expr") or each["name"]): str(each["name"])
        for model in layer.models.values()
        for each in model["entities"]
        if each["type"] in ("primary", "unique")
    }
    found: list[Mapping[str, str]] = []
    if len(key) == 1 and key[0].endswith("_id"):
        word = known.get(key[0], key[0].removesuffix("_id"))
        found.append({"name": word, "type": "primary", "expr": key[0]})
    for column in columns:
        if column in known and column not in key:
            found.append({"name": known[column], "type": "foreign", "expr": column})
    return found
