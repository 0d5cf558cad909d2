"""`sluice backup` and `sluice restore`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.output import json_option, say, say_json, say_table
from warehouse.errors import SluiceError
from warehouse.settings import settings
from warehouse.words import counted

if TYPE_CHECKING:
    from warehouse.backups.inventory import Backup
    from warehouse.backups.restoring import Restored

from_option = click.option(
    "--from", "origin", metavar="PLACE", help="A folder or URL. Default: SLUICE_BACKUPS."
)


@click.group(invoke_without_command=True)
@click.option("--to", metavar="PLACE", help="A folder or URL. Default: SLUICE_BACKUPS.")
@click.option("--keep", type=click.IntRange(min=1), help="Let go of all but the newest so many.")
@json_option
@click.pass_context
def backup(context: click.Context, to: str | None, keep: int | None, as_json: bool) -> None:
    """Copy landing, workshop and snapshots to another place.

    \b
    sluice backup --to /mnt/backups --keep 14     one more; what is there already is not copied
    sluice backup list                            which there are
    sluice backup verify                          read all of it and say what is damaged

    A backup waits for a run and a run for it. It holds personal data: only you may read the files.
    """
    if context.invoked_subcommand is not None:
        return
    from warehouse.backups.taking import take

    place = to or settings().backups_url
    taken = take(settings(), place, keep=keep, waiting=None if as_json else say)
    made = taken.backup
    if as_json:
        say_json({**_summary(made), "place": place, "removed": taken.removed})
        return
    say(
        f"✓ backup {made.backup_id}: {len(made.kept):,} files and tables, {_size(made.size)}, "
        f"{_size(made.bytes_added)} of them new, in {made.seconds:.1f}s ({place})"
    )
    if taken.removed:
        say(f"  let go: {', '.join(taken.removed)}")
    if _on_the_same_disk(place):
        say("  ! It lies on the disk that holds the data: set SLUICE_BACKUPS to another place.")


@backup.command("list")
@from_option
@json_option
def list_(origin: str | None, as_json: bool) -> None:
    """The backups, newest first."""
    from warehouse.backups import inventory
    from warehouse.backups.place import Place

    found = list(inventory.whole(Place(origin or settings().backups_url)))
    damaged = [each for each in found if isinstance(each, SluiceError)]
    backups = [each for each in found if not isinstance(each, SluiceError)]
    if as_json:
        say_json([_summary(each) for each in backups])
    elif backups:
        say_table(
            ["backup", "target", "as of", "snapshot", "MB", "MB new", "seconds"],
            [
                (
                    each.backup_id,
                    each.target,
                    each.as_of,
                    each.snapshot_id,
                    f"{each.size / 1e6:,.1f}",
                    f"{each.bytes_added / 1e6:,.1f}",
                    f"{each.seconds:.1f}",
                )
                for each in backups
            ],
            numbers=["MB", "MB new", "seconds"],
        )
    else:
        say("There is no backup yet: `sluice backup` makes one.")
    if damaged:
        raise damaged[0]


@backup.command()
@click.argument("wanted", metavar="[BACKUP]", required=False)
@from_option
def verify(wanted: str | None, origin: str | None) -> None:
    """Compare every file of a BACKUP with its hash.

    Without a BACKUP, of all.
    """
    from warehouse.backups import inventory
    from warehouse.backups.place import Place

    place = Place(origin or settings().backups_url)
    found = list(inventory.whole(place)) if wanted is None else [inventory.find(place, wanted)]
    backups = [each for each in found if not isinstance(each, SluiceError)]
    bad = [each.what for each in found if isinstance(each, SluiceError)]
    for backup_id, problems in inventory.problems(place, backups).items():
        say(f"{'✗' if problems else '✓'} {backup_id}", "red" if problems else "")
        for problem in problems[:10]:
            say(f"    {problem}")
        bad += problems
    if bad:
        raise SluiceError(
            f"Damaged: {counted(len(bad), 'file')}; {bad[0]}",
            remedy="Remove the damaged files and run `sluice backup`: what is still there is "
            "written again. Restore from a backup with ✓.",
        )
    if not found:
        raise SluiceError(
            f"There is no backup in {place.url}.", remedy="`sluice backup` makes one."
        )


@click.command()
@click.argument("wanted", metavar="[BACKUP]", required=False)
@from_option
@click.option("--replace", is_flag=True, help="In place of the warehouse that is there.")
@json_option
def restore(wanted: str | None, origin: str | None, replace: bool, as_json: bool) -> None:
    """Put a BACKUP (default: the newest) back.

    It says what came after it.

    Landed files that are missing come back, newer ones stay: the next `sluice run` loads them.
    Everything is compared with its hash before it takes the place of anything.
    """
    from warehouse.backups.restoring import restore as put_back

    found = put_back(
        settings(),
        origin or settings().backups_url,
        wanted,
        replace=replace,
        waiting=None if as_json else say,
    )
    judged_anew = _distrust(found)
    if as_json:
        say_json(
            {
                **_summary(found.backup),
                "seconds": found.seconds,
                "files_put_back": len(found.put_back),
                "files_mended": found.mended,
                "newer": found.newer,
                "lost": found.lost,
                "last_received": found.last_received if found.landing_was_gone else {},
                "judged_anew": judged_anew,
                "notes": found.notes,
            }
        )
        return
    _tell(found, judged_anew)


def _distrust(found: Restored) -> int:
    """Gates that were judged after the backup were judged on rows that are not here now."""
    from catalog.catalog import load_catalog
    from quality import gate_log
    from quality.gate import mark_pending
    from warehouse.platform_log import logged_at

    known = gate_log.latest(settings())
    later = [
        key
        for key in load_catalog(settings()).datasets
        if key in known and logged_at(known[key]) > found.backup.made_at
    ]
    mark_pending(settings(), later, f"restore of {found.backup.backup_id}")
    return len(later)


def _tell(found: Restored, judged_anew: int) -> None:
    made = found.backup
    say(
        f"✓ restored backup {made.backup_id} of {made.made_at:%Y-%m-%d %H:%M:%S} UTC "
        f"in {found.seconds:.1f}s: {_size(made.size)}"
    )
    if found.landing_was_gone:
        say(f"  {len(found.put_back):,} landed files were gone and are back")
    for path in found.mended:
        say(f"  {path} was damaged and is mended; what was there lies beside it")
    for note in found.notes:
        say(f"  {note}")
    if found.newer:
        say(f"  landed since the backup, loaded by the next run: {_counted(found.newer)}")
    if judged_anew:
        say(f"  {judged_anew} gates were judged since the backup: the next run judges them anew")
    if found.lost:
        say(f"✗ loaded since the backup and gone: {_counted(found.lost)}", "red")
    if found.landing_was_gone:
        say("  What was received after the backup and is not in landing has to be sent again.")
        say("  The last file of each that is here:")
        for entity, path in found.last_received.items():
            say(f"    {entity:<28} {path}")
    elif not found.newer and not found.lost:
        say("  nothing has landed since: nothing is lost")
    say("  `sluice run` brings the warehouse up to date.")


def _counted(files: Mapping[str, int]) -> str:
    return ", ".join(f"{entity} {counted(count, 'file')}" for entity, count in files.items())


def _summary(each: Backup) -> dict[str, object]:
    return {
        "backup_id": each.backup_id,
        "made_at": each.made_at,
        "target": each.target,
        "environment": each.environment,
        "warehouse": each.warehouse,
        "as_of": each.as_of,
        "snapshot_id": each.snapshot_id,
        "files": len(each.kept),
        "size_bytes": each.size,
        "bytes_added": each.bytes_added,
        "seconds": each.seconds,
    }


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"


def _on_the_same_disk(place: str) -> bool:
    path, data = Path(place), settings().data_dir
    return path.exists() and data.exists() and path.stat().st_dev == data.stat().st_dev
