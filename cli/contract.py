"""`sluice contract`: what sources promised, and what a change of it costs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.output import json_option, say, say_json, say_table
from warehouse.errors import WRONG_USE, ContractError, GateClosedError
from warehouse.settings import settings
from warehouse.words import counted

if TYPE_CHECKING:
    from ingestion.contracting.proving import Proof
    from ingestion.contracting.reach import Judged

SIGNS = {"compatible": ("✓", ""), "backfill": ("↻", "yellow"), "breaking": ("✗", "red")}
format_option = click.option(
    "--format", "_format", type=click.Choice(["odcs"]), default="odcs", show_default=True,
    help="The Open Data Contract Standard, version 3.",
)  # fmt: skip


@click.group()
def contract() -> None:
    """Contracts with those who send data: the YAML of the sources.

    docs/guides/contracts.md tells how to change one, and how a producer tests against it.
    """


@contract.command("check")
@click.argument("source", required=False)
@click.option("--against", metavar="REF|PATH", help="What runs (default: where main was left).")
@click.option("--proposed", type=click.Path(path_type=Path), help="A file or folder of proposals.")
@json_option
def check(source: str | None, against: str | None, proposed: Path | None, as_json: bool) -> None:
    """Compare proposed contracts with those that run.

    Each difference is compatible, needs a backfill, or is breaking, with whom it reaches;
    docs/reference/contract_rules.md has the rules. Ends with 4 where one is breaking.
    """
    from ingestion.contracting.agreeing import judge

    found = judge(settings(), source, against, proposed)
    if as_json:
        say_json(
            {
                "verdict": found.verdict,
                "differences": [_plain(each) for each in found.judged],
                "agreed": list(found.agreed),
            }
        )
    else:
        _tell(found.judged)
    if found.breaking:
        raise GateClosedError(
            f"A contract is broken by {counted(len(found.breaking), 'change')}.",
            remedy="Mend them as shown; or agree with the owners and say so in a commit, in a "
            f"last line `{found.word}: {found.breaking[0].difference.entity}`.",
        )


def _plain(each: Judged) -> dict[str, Any]:
    difference = each.difference
    return {
        "entity": difference.entity,
        "column": difference.column or None,
        "rule": difference.rule.key,
        "verdict": difference.rule.verdict,
        "change": difference.rule.change,
        "was": difference.was or None,
        "now": difference.now or None,
        "why": difference.rule.why,
        "remedy": difference.remedy or None,
        **vars(each.reach),
    }


def _tell(judged: Iterable[Judged]) -> None:
    judged = list(judged)
    for each in judged:
        sign, style = SIGNS[each.difference.rule.verdict]
        say(f"{sign} {each.difference.rule.verdict}: {each.difference}", style)
        say(f"    {each.difference.rule.why}")
        for name, values in vars(each.reach).items():
            if values:
                say(f"    {name}: {', '.join(values)}")
        if each.difference.remedy:
            say(f"    → {each.difference.remedy}")
    if not judged:
        say("✓ Every contract promises what it promised.")


@contract.command("test")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--contract", "contract_file", required=True, type=click.Path(path_type=Path),
              help="The source YAML.")  # fmt: skip
@click.option("--table", help="Which table of it FILE is for (default: by the file's name).")
@click.option("--show", type=click.IntRange(min=0), default=20, show_default=True,
              help="How many bad rows to show.")  # fmt: skip
@json_option
def test(file: Path, contract_file: Path, table: str | None, show: int, as_json: bool) -> None:
    """Hold a data file against a contract as the loader would. Needs these two files, nothing else.

    Ends with 4 where the file would be refused or a row of it quarantined.
    """
    from ingestion.contracting.proving import contract_for, prove

    proof = prove(file, contract_for(file, contract_file, table), show=show)
    if as_json:
        say_json(
            vars(proof)
            | {
                "bad_rows": [vars(each) for each in proof.bad_rows],
                "renamed": dict(proof.renamed),
                "is_good": proof.is_good,
            }
        )
    else:
        _tell_proof(file, proof)
    if not proof.is_good:
        raise GateClosedError(
            f"{file.name} breaks the contract of {proof.entity}.",
            remedy="Send what it promises, or propose another contract: `sluice contract check`.",
        )


def _tell_proof(file: Path, proof: Proof) -> None:
    if proof.refused:
        say(f"✗ {file.name} would be refused: {proof.refused}", "red")
        return
    say(f"{file.name} as {proof.entity}: {counted(proof.rows, 'good row')}, "
        f"{proof.quarantined:,} would be quarantined.")  # fmt: skip
    if proof.bad_rows:
        say_table(
            ("row", "reason", "what was received"),
            [(each.row, each.reason, each.content[:120]) for each in proof.bad_rows],
        )
    if proof.quarantined > len(proof.bad_rows):
        say(f"… and {proof.quarantined - len(proof.bad_rows):,} more (--show).")
    if proof.unknown:
        say(f"Drift: {', '.join(proof.unknown)} in no contract; kept as it came.")
    for alias, name in proof.renamed:
        say(f"Renamed: {alias} is taken as {name}.")
    if proof.missing:
        say(f"Drift: {', '.join(proof.missing)} not sent, and not required.")


@contract.command("export")
@click.argument("source", required=False)
@format_option
def export(source: str | None, _format: str) -> None:
    """Print the contract of SOURCE, or of all as several documents."""
    from ingestion.contracting.odcs import exported
    from ingestion.contracting.promises import by_source, read_promises
    from ingestion.contracts import contracts_dir, unknown_source

    found = by_source(read_promises(contracts_dir(settings())))
    if source is not None and source not in found:
        raise unknown_source(source, found)
    texts = [exported(found[each]) for each in ([source] if source else sorted(found))]
    click.echo("---\n".join(texts), nl=False)


@contract.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@format_option
@click.option("--write", is_flag=True, help="Write it beside the other sources, if it is new.")
def import_(file: Path, _format: str, write: bool) -> None:
    """Propose a source YAML from a document of the standard.

    It is printed, or with --write written.
    """
    from ingestion.contracting.odcs_import import proposed
    from ingestion.contracting.promises import text_of
    from ingestion.contracts import contracts_dir

    if not file.is_file():
        raise ContractError(
            f"There is no file {file}.",
            remedy="Name the document to import.",
            exit_code=WRONG_USE,
        )
    proposal = proposed(text_of(file), file.name)
    for note in proposal.notes:
        click.echo(f"Note: {note}", err=True)
    if not write:
        click.echo(proposal.text, nl=False)
        return
    path = contracts_dir(settings()) / f"{proposal.source}.yml"
    if path.exists():
        raise ContractError(
            f"{path} is there already.",
            remedy="Compare instead: without --write it is printed; put it into a file and ask "
            "`sluice contract check --proposed <file>`.",
        )
    path.write_text(proposal.text, encoding="utf-8")
    say(f"✓ Wrote {path}. Next: a staging model (docs/engineers.md), then `sluice check`.")
