"""`sluice demo`: the main job, from simulated sources to published metrics."""

from __future__ import annotations

import time

import click

from cli.data import progress, summary_line
from cli.output import say, say_table
from cli.runs import run_and_report
from warehouse.errors import GateClosedError
from warehouse.settings import settings


@click.command()
@click.option(
    "--size", type=click.Choice(["small", "medium", "large"]), default="small", show_default=True
)
@click.option("--seed", type=int, default=7, show_default=True)
def demo(size: str, seed: int) -> None:
    """Simulate a company, run everything on it, print key figures.

    It is the real path: the same loader, models, gates and publish as `sluice run`.
    """
    from ingestion.simulator import simulate as simulator

    started = time.monotonic()
    say("1/3  Fifteen months of a software company's sources land …", "bold")
    summary = simulator.run(settings(), size=size, seed=seed, progress=progress)
    say(f"     {summary_line(summary)}")
    say("2/3  Load, build, check at four gates, publish …", "bold")
    outcome = run_and_report()
    say("3/3  The company's key figures, from the published snapshot", "bold")
    if not outcome["success"]:
        raise GateClosedError(
            "The run ended with something shut or broken (above: ✗).",
            remedy="`sluice status` says what and why.",
        )
    key_figures()
    say(f"\nDone in {time.monotonic() - started:.0f} seconds. Where to look next:", "bold")
    say("  sluice status                                    what is published, closed, quarantined")
    say("  sluice metrics query mrr --by month              a governed number over time")
    say('  sluice query "select * from finance_mrr_daily limit 5"')
    say("  make up                                          lineage, runs and checks in Dagster")
    say("  README.md, “Break something”                     watch a gate close")
    say("(`sluice` is .venv/bin/sluice; `source .venv/bin/activate` puts it on the path.)", "dim")


def key_figures() -> None:
    from serving.metrics import key_figures as figures

    say_table(
        ["", "now", "before"],
        [(each.label, each.value, each.comparison) for each in figures(settings())],
        numbers=["now", "before"],
    )
