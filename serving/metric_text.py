"""A new metric as YAML, in the file that its measure or its inputs stand in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import yaml

from catalog.yaml_lines import described, entry, flow, scalar, sentence, whole
from catalog.yaml_places import Insert, end_of_list, fields, inserted
from serving.metric_blueprint import MetricBlueprint, NewMeasure, grain_of

HEAD: Final = ["version: 2", ""]


def text_of(made: MetricBlueprint, root: Path) -> Mapping[PurePosixPath, str]:
    """The one file that is new, or that it is added to."""
    there = root / made.file
    if not there.exists():
        lines = [*HEAD, *(_semantic_model(made, made.measure) if made.measure else [])]
        return {made.file: whole([*lines, "metrics:", *_metric(made)])}
    text = there.read_text(encoding="utf-8")
    return {made.file: _added(made, text)}


def _added(made: MetricBlueprint, text: str) -> str:
    lines, file = text.splitlines(), str(made.file)
    top = fields(yaml.compose(text, Loader=yaml.SafeLoader))
    inserts: list[Insert] = []
    if made.measure is not None:
        [model] = [
            its
            for its in map(fields, top["semantic_models"].value)
            if its["name"].value == made.measure.model
        ]
        new = ["    measures:"] if "measures" not in model else []
        at = (
            end_of_list(model["measures"], 6, lines, file)
            if "measures" in model
            else end_of_list(top["semantic_models"], 2, lines, file)
        )
        inserts.append((at, [*new, _measure(made.measure, _usual_time(model))]))
    if "metrics" in top:
        inserts.append((end_of_list(top["metrics"], 2, lines, file), ["", *_metric(made)]))
    else:
        inserts.append((len(lines), ["", "metrics:", *_metric(made)]))
    return whole(inserted(lines, inserts))


def _usual_time(model: Mapping[str, yaml.Node]) -> str:
    usual = fields(model.get("defaults")).get("agg_time_dimension")
    return str(usual.value) if usual is not None else ""


def _metric(made: MetricBlueprint) -> list[str]:
    meta: dict[str, Any] = {"owner": made.owner, "tier": made.tier}
    meta |= {"unit": made.unit} if made.unit else {}
    return [
        f"  - name: {made.name}",
        f"    label: {sentence(made.label)}",
        *described(made.description, 4),
        f"    type: {made.kind}",
        *entry("type_params", made.type_params, 4),
        f"    config: {flow({'meta': meta})}",
    ]


def _measure(measure: NewMeasure, usual_time: str) -> str:
    said = {"name": measure.name, "expr": measure.expr, "agg": measure.agg}
    if measure.time != usual_time:
        said["agg_time_dimension"] = measure.time
    return f"      - {flow(said)}"


def _semantic_model(made: MetricBlueprint, measure: NewMeasure) -> list[str]:
    dataset = measure.dataset
    lines = [
        "semantic_models:",
        f"  - name: {made.file.stem}",
        *described(dataset.description.split(": ")[0].split(". ")[0].rstrip(".") + ".", 4),
        f"    model: ref('{dataset.name}')",
        f"    defaults: {flow({'agg_time_dimension': measure.time})}",
        f"    config: {flow({'meta': {'owner': dataset.owner, 'tier': dataset.tier}})}",
    ]
    if measure.primary_entity:
        lines.append(f"    primary_entity: {measure.primary_entity}")
    if measure.entities:
        lines += ["    entities:", *(f"      - {flow(each)}" for each in measure.entities)]
    lines += [
        "    dimensions:",
        f"      - name: {measure.time}",
        "        type: time",
        f"        type_params: {{time_granularity: {grain_of(measure.time)}}}",
    ]
    for name, text in measure.dimensions:
        lines += [f"      - name: {scalar(name)}", *described(text, 8), "        type: categorical"]
    return [*lines, "    measures:", _measure(measure, measure.time), ""]
