"""`sluice new metric`: a number with a name, which answers at once."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from cli.output import say, say_table
from cli.writing import agreed, ask, dry_run_option, write, yes_option
from warehouse.settings import PROJECT_ROOT, settings

if TYPE_CHECKING:
    from serving.metric_blueprint import Layer, MetricBlueprint, NewMeasure

KINDS = ("simple", "ratio", "derived", "cumulative", "conversion")
# What each kind is made of: by flag, what is asked on a terminal.
NEEDS = {
    "ratio": {"numerator": "Which metric is divided", "denominator": "By which metric"},
    "derived": {"formula": "A formula of metrics, such as `mrr / paying_accounts`"},
    "conversion": {
        "base": "Measure of those who could convert",
        "conversion": "Measure of those who did",
        "entity": "Who converts (an entity of both)",
        "window": "Within what time, such as `14 days`",
    },
}


@click.command()
@click.argument("name", required=False)
@click.option("--kind", type=click.Choice(KINDS), default="simple", show_default=True)
@click.option("--measure", help="Of a simple or cumulative one: a measure, or its metric.")
@click.option("--from", "dataset", metavar="DATASET", help="Instead: a published table …")
@click.option(
    "--agg", type=click.Choice(("sum", "count", "count_distinct", "average", "max", "min")),
    default="sum", show_default=True, help="… what is made …",
)  # fmt: skip
@click.option("--column", help="… of this column …")
@click.option("--time", "time", help="… along this date; else its first.")
@click.option("--numerator", help="Of a ratio: a metric.")
@click.option("--denominator", help="Of a ratio: a metric.")
@click.option("--formula", help="Of a derived one: SQL over names of metrics.")
@click.option("--window", help="Of a cumulative one or a conversion: `28 days`.")
@click.option("--to-date", type=click.Choice(["week", "month", "quarter", "year"]),
              help="Of a cumulative one: since this began.")  # fmt: skip
@click.option("--base", help="Of a conversion: a measure, or its metric.")
@click.option("--conversion", help="Of a conversion: a measure, or its metric.")
@click.option("--entity", help="Of a conversion: who converts.")
@click.option("--description", help="What it counts, and what not.")
@click.option("--label", help="As people read it.")
@click.option("--unit", help="USD, accounts, ratio, …")
@click.option("--owner", help="Who answers for it; else as what it is made of.")
@click.option("--tier", type=click.IntRange(1, 3), help="Else as what it is made of.")
@dry_run_option
@yes_option
def metric(name: str | None, dry_run: bool, yes: bool, **given: Any) -> None:
    """Write the metric NAME into the YAML, and ask it once.

    It is made of measures and metrics that are there; or, with --from, of a published table, whose
    semantic model it joins or begins.
    """
    from catalog.catalog import load_catalog
    from serving.metric_blueprint import Layer, refuse_name
    from serving.metric_text import text_of

    name = ask(name, "Its name, the business's own word", "a name")
    layer = Layer(load_catalog(settings()))
    refuse_name(layer, name)
    made = _plan(layer, name, given)
    texts = text_of(made, PROJECT_ROOT)
    if agreed(texts, dry_run=dry_run, yes=yes):
        write(texts, lambda: _prove(made))


def _plan(layer: Layer, name: str, given: dict[str, Any]) -> MetricBlueprint:
    from serving.metric_blueprint import (
        FOLDER,
        MetricBlueprint,
        inherited,
        named_in,
        new_measure,
        place_of,
    )

    kind = str(given["kind"])
    for word, question in NEEDS.get(kind, {}).items():
        given[word] = ask(given[word], question, f"--{word}")
    new: NewMeasure | None = None
    if kind == "ratio":
        parts = {word: given[word] for word in ("numerator", "denominator")}
        nodes = [layer.metric(each) for each in parts.values()]
        params: dict[str, Any] = parts
    elif kind == "derived":
        inputs = named_in(layer, given["formula"])
        nodes = [layer.metric(each) for each in inputs]
        params = {"expr": given["formula"], "metrics": inputs}
    elif kind == "conversion":
        base, first = layer.measure(given["base"])
        conversion, second = layer.measure(given["conversion"])
        nodes = [first, second]
        params = {
            "conversion_type_params": {
                "entity": given["entity"],
                "calculation": "conversion_rate",
                "base_measure": base,
                "conversion_measure": conversion,
                "window": given["window"],
            }
        }
    elif given["dataset"]:
        dataset = layer.catalog.find(given["dataset"])
        column, time = given["column"] or "", given["time"] or ""
        new = new_measure(layer, name, dataset, given["agg"], column, time)
        there = layer.models.get(new.model)
        nodes = [there] if there else []
        params = {"measure": new.name}
    else:
        measure, model = layer.measure(ask(given["measure"], "Of which measure", "--measure"))
        nodes, params = [model], {"measure": measure}
    if kind == "cumulative":
        since = {"window": given["window"], "grain_to_date": given["to_date"]}
        said = {word: value for word, value in since.items() if value}
        params |= {"cumulative_type_params": said} if said else {}
    usual = inherited(nodes) if nodes or not new else {
        "owner": new.dataset.owner, "tier": new.dataset.tier}  # fmt: skip
    words = name.replace("_", " ")
    return MetricBlueprint(
        name=name,
        kind=kind,
        description=given["description"] or f"{words.capitalize()}: say what counts, what not.",
        label=given["label"] or words.capitalize(),
        owner=given["owner"] or usual["owner"],
        tier=given["tier"] or usual["tier"],
        unit=given["unit"] or ("ratio" if kind in ("ratio", "conversion") else ""),
        type_params=params,
        file=place_of(nodes[0]) if nodes else FOLDER / _file(layer, new),
        measure=new,
    )


def _file(layer: Layer, new: NewMeasure | None) -> PurePosixPath:
    """Named as its semantic model, after the table; never one that is there."""
    name = new.dataset.name if new else "metrics"
    word = name.removeprefix("fct_").removeprefix("dim_")
    is_free = word not in layer.models and not (PROJECT_ROOT / "dbt_project/models/metrics" /
                                                f"{word}.yml").exists()  # fmt: skip
    return PurePosixPath(f"{word if is_free else name}.yml")


def _prove(made: MetricBlueprint) -> None:
    """dbt reads it, and it answers; else nothing of it stays."""
    from serving import metrics as engine
    from serving.definitions import describe
    from serving.semantics import load_semantics

    described = describe(load_semantics(settings()), made.name)
    slices = [described.grains[0], *described.requires]
    answer = engine.query(settings(), [made.name], slices, order=[f"-{slices[0]}"], limit=5)
    if not answer.rows:
        say("It answers with no row: the published snapshot has none for it yet.")
        return
    say(f"Its first answer, by {' and '.join(slices)}:")
    say_table(answer.columns, answer.rows)
    say(f"\nAsk it:  sluice metrics query {made.name} --by {slices[0]}")
