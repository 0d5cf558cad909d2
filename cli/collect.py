"""`sluice collect`: the server that takes events."""

from __future__ import annotations

import sys

import click

from cli.output import say
from warehouse.errors import ContractError, SettingsError
from warehouse.settings import settings


@click.command()
@click.argument("source", required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=int, default=8807, show_default=True, help="0 takes a free one.")
def collect(source: str | None, host: str, port: int) -> None:
    """Take events over HTTP for SOURCE, until stopped.

    SOURCE may be left out where one source has a collector.

    An event that was answered with 202 is on the disk. docs/reference/collector.md says what
    clients send; behind the open internet belongs a proxy that speaks TLS.
    """
    from ingestion.connectors import fetching
    from ingestion.connectors.collecting import collect as serve
    from ingestion.connectors.declaration import read_connectors
    from ingestion.connectors.outcome import Fetched

    found = {k: v for k, v in read_connectors(settings()).items() if v.kind == "collector"}
    if source is None and len(found) == 1:
        source = next(iter(found))
    if source is None or source not in found:
        raise ContractError(
            f"Name one of the sources with a collector: {', '.join(found) or 'there is none'}.",
            remedy="docs/reference/collector.md says how one is declared.",
        )
    if not found[source].is_awake:
        raise SettingsError(
            f"The collector of {source} sleeps: {', '.join(found[source].missing)} is not set.",
            remedy="Set it where Sluice runs, then try again.",
        )

    def landed(fetched: Fetched) -> None:
        fetching.log(settings(), fetched)
        say(f"  {fetched}" + "".join(f"; {note}" for note in fetched.notes))
        sys.stdout.flush()

    def ready(url: str) -> None:
        say(f"✓ Taking events for {source} at {url}/v1/events (Ctrl-C ends it)")
        sys.stdout.flush()

    serve(settings(), found[source], host, port, landed, ready)
