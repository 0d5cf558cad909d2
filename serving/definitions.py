"""What a metric is: its meaning, and the ways in which it may be asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serving.published import nearest
from serving.semantics import GRAINS, Dimension, Semantics

# Weeks cross the borders of months and years: what is kept by week is asked by week.
COMPOSED_OF = {"day": GRAINS, "week": ("week",), "month": GRAINS[2:]}


@dataclass(frozen=True)
class Metric:
    """`composes` says whether one number over the whole time asked has a meaning; `requires`
    names dimensions over which the metric must not be summed."""

    name: str
    label: str
    type: str
    description: str
    owner: str
    tier: int
    unit: str
    grains: tuple[str, ...]
    dimensions: tuple[str, ...]
    requires: tuple[str, ...] = ()
    composes: bool = True


def describe(semantics: Semantics, name: str) -> Metric:
    declared = semantics.metrics[name]
    meta = _meta(declared)
    inputs = [semantics.metrics[each] for each in _lineage(semantics, name)]
    lineage = [_meta(each) for each in inputs]
    finest = semantics.finest_grain(name)
    composed = COMPOSED_OF.get(finest, (finest,))
    grains = [
        each
        for each in composed
        if all(each in its_meta.get("grains", GRAINS) for its_meta in lineage)
    ]
    return Metric(
        name=name,
        label=declared.get("label") or name,
        type=str(declared["type"]).lower(),
        description=" ".join((declared.get("description") or "").split()),
        owner=str(meta.get("owner", "")),
        tier=int(meta.get("tier", 3)),
        unit=str(meta.get("unit", "")),
        grains=tuple(grains),
        dimensions=tuple(
            each.name for each in allowed_dimensions(semantics, name) if each.kind != "time"
        ),
        requires=tuple(
            sorted({item for its_meta in lineage for item in its_meta.get("requires", ())})
        ),
        # Without a grain MetricFlow compiles a cumulative metric to SQL that does not run.
        composes=all(its_meta.get("composes", True) for its_meta in lineage)
        and all(each["type"] != "cumulative" for each in inputs),
    )


def allowed_dimensions(semantics: Semantics, name: str) -> list[Dimension]:
    """What MetricFlow can reach, less what the metric's meta leaves out (`dimensions`)."""
    allowed = _meta(semantics.metrics[name]).get("dimensions")
    return [
        each
        for each in semantics.dimensions(name)
        if allowed is None or each.name in allowed or each.short in allowed
    ]


def _lineage(semantics: Semantics, name: str) -> Iterable[str]:
    """The metric and every metric it is computed from."""
    seen: dict[str, None] = {}
    queue = [name]
    while queue:
        each = queue.pop()
        if each not in seen:
            seen[each] = None
            queue.extend(_inputs(semantics.metrics[each]))
    return seen


def _inputs(metric: Mapping[str, Any]) -> list[str]:
    parameters = metric["type_params"]
    inputs = [parameters.get("numerator"), parameters.get("denominator")]
    inputs += parameters.get("metrics") or []
    return [each["name"] for each in inputs if each]


def _meta(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict((metric.get("config") or {}).get("meta") or {})


def did_you_mean(
    name: str, known: Iterable[str], fallback: str = "`sluice metrics list` shows the metrics."
) -> str:
    close = nearest(name, known)
    return f"Did you mean {either(close)}?" if close else fallback


def either(names: Sequence[str]) -> str:
    return " or ".join(names)
