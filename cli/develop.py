"""`sluice develop`: try a model on what production publishes."""

from __future__ import annotations

from dataclasses import asdict

import click

from cli.output import json_option, say, say_json, say_table
from warehouse.errors import SluiceError
from warehouse.settings import settings
from warehouse.words import counted


@click.command()
@click.argument("selection", nargs=-1, required=True, metavar="MODEL...")
@click.option("--show", is_flag=True, help="Show the first rows of each model.")
@json_option
def develop(selection: tuple[str, ...], show: bool, as_json: bool) -> None:
    """Build models on your desk, on parents from production.

    SLUICE_PRODUCTION says where: a PostgreSQL (postgresql://…), read with your own rights, or a
    folder `published`. What production does not publish has to be built here, too (+name). Nothing
    is published; `sluice run` builds and checks everything anew.
    """
    from orchestration.developing import develop as build

    trial = build(settings(), selection, show=show)
    if as_json:
        say_json(asdict(trial))
    else:
        at = trial.snapshot
        if at is not None:
            say(f"Production shows {at.snapshot_id}, as of {at.as_of:%Y-%m-%d %H:%M} UTC")
        for each in trial.fetched:
            how = "here already" if each.was_here else "copied"
            say(f"  production.{each.name}: {counted(each.rows, 'row')}, {how}")
        for model in trial.models:
            good = model.status == "success"
            made = f"{counted(model.rows or 0, 'row')}, {model.seconds:.2f}s"
            told = made if good else model.message or model.status
            say(f"{'✓' if good else '✗'} {model.key}: {told}", "" if good else "red")
            if model.columns:
                say_table(model.columns, model.first_rows)
        for text in trial.failed_tests:
            say(f"✗ {text}", "red")
        say(f"{trial.test_count - len(trial.failed_tests)}/{trial.test_count} tests passed")
    if not trial.success:
        raise SluiceError("Not everything could be built, or holds.", remedy="See ✗ above.")
