"""`sluice`: the front door."""

from __future__ import annotations

import os
import sys

# Nothing we start reports home: set before any library is imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
os.environ.setdefault("SODA_CORE_TELEMETRY_ENABLED", "false")
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import click

from cli import (
    backfill,
    backup,
    check,
    collect,
    contract,
    data,
    demo,
    develop,
    doctor,
    environment,
    gate,
    grants,
    incident,
    ingest,
    metrics,
    new,
    published,
    quarantine,
    retention,
    runs,
    status,
    up,
)
from cli.output import harmless
from warehouse.errors import SluiceError
from warehouse.secrets import guard_logs, guard_output

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="sluice", message="sluice %(version)s")
def sluice() -> None:
    """Land, build, check and publish a company's data.

    \b
    First time here?        sluice demo
    What is published?      sluice status
    Ask the data:           sluice query "select * from finance_mrr_daily limit 5"
    Watch it in a browser:  sluice up

    Exit codes: 0 good · 1 an error · 2 wrong use or settings · 3 locked by another
    process · 4 a gate is closed.
    """


for command in (
    demo.demo,
    runs.run,
    runs.replay,
    backfill.backfill,
    develop.develop,
    status.status,
    data.simulate,
    new.new,
    ingest.ingest,
    collect.collect,
    data.query,
    quarantine.quarantine,
    data.set_aside,
    published.published,
    retention.retention,
    gate.gate,
    grants.grants,
    check.check,
    contract.contract,
    metrics.metrics,
    incident.incident,
    backup.backup,
    backup.restore,
    environment.environment,
    doctor.doctor,
    up.up,
):
    sluice.add_command(command)


def main() -> None:
    guard_output()
    guard_logs()
    try:
        sluice.main(standalone_mode=False)
    except SluiceError as error:
        told = harmless(str(error))
        click.secho(f"✗ {told}", fg="red" if sys.stderr.isatty() else None, err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo(
            "\nStopped. Nothing half-loaded or half-published stays; run the same command "
            "again to carry on.",
            err=True,
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
