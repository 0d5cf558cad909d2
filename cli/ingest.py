"""`sluice ingest`: ask the sources what is new."""

from __future__ import annotations

import click

from cli.output import json_option, say, say_json
from warehouse.errors import SluiceError
from warehouse.settings import settings


@click.command()
@click.argument("source", required=False)
@click.option("--forget", is_flag=True, help="Forget how far SOURCE is read: begin anew next time.")
@json_option
def ingest(source: str | None, forget: bool, as_json: bool) -> None:
    """Fetch what is new from the sources into landing.

    From each that declares a connector, or from SOURCE.

    `sluice run` does so before it loads. A connector whose variables are not set sleeps.
    docs/guides/sources.md says how each kind is declared.
    """
    from ingestion.connectors import fetching

    if forget:
        if source is None:
            raise click.UsageError("Name the source to forget.")
        say(f"✓ {fetching.forget(settings(), source)}")
        return
    names = [source] if source else list(fetching.asked(settings()))
    if not names and not as_json:
        say("No source declares a connector that is awake: `sluice status` names those that sleep.")
    told, failed = [], []
    for name in names:
        try:
            fetched = fetching.fetch(settings(), name, lambda text: None if as_json else say(text))
        except SluiceError as error:
            if source:
                raise
            failed.append(name)
            say(f"✗ {name}: {error}", "red")
            continue
        told.append(vars(fetched) | {"entities": {k: vars(v) for k, v in fetched.entities.items()}})
        if not as_json:
            say(f"✓ {fetched} ({fetched.seconds:.1f}s)")
            for note in fetched.notes:
                say(f"    {note}")
            for problem in fetched.problems:
                say(f"  ✗ {problem}", "red")
        failed += [name] if fetched.problems else []
    if as_json:
        say_json(told)
    if failed:
        raise SluiceError(
            f"Not all is well with {', '.join(dict.fromkeys(failed))} (above: ✗).",
            remedy="docs/runbooks/fetch_failed.md says how to look and how to mend.",
        )
