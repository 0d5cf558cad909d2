"""Named places at which a test ends the process, or fills the disk, to see what holds.

They do nothing unless the environment names one: `SLUICE_CRASH_AT=publish.renamed` kills this
process there (`publish.renamed@3`: at the third visit), `SLUICE_DISK_FULL_AT` raises what a full
disk raises. Every point is in this register, and tests/crash visits every point of it.
"""

from __future__ import annotations

import errno
import os
import signal
from collections import Counter
from collections.abc import Mapping
from typing import Final

CRASH_AT: Final = "SLUICE_CRASH_AT"
DISK_FULL_AT: Final = "SLUICE_DISK_FULL_AT"

POINTS: Final[Mapping[str, str]] = {
    "load.begun": "the files are inspected, nothing of them is loaded",
    "load.rows_written": "rows, quarantine and ledger are written, the transaction is open",
    "load.committed": "the transaction is committed, the platform log does not know it",
    "load.logged": "the platform log knows of the load, its gate is still pending",
    "build.marked": "the gates are pending, dbt has not begun",
    "build.built": "dbt has built and tested, no gate has looked",
    "gate.evaluated": "the checks are evaluated, nobody remembers the verdict",
    "gate.event_written": "the gate's event is in the log, the summary beside it is older",
    "gate.summary_written": "event and summary agree",
    "log.written_aside": "an event's file is written under a name that nobody reads",
    "publish.begun": "the publish holds its lock, the workshop knows the new snapshot's mark",
    "publish.file_made": "the file aside is there: a copy of the previous snapshot, or empty",
    "publish.clear_written": "clear copies of masked tables are whole aside, where nobody may read",
    "publish.tables_written": "changed tables are replaced aside, the transaction is open",
    "publish.committed": "the file aside is committed, part of it may be in its log only",
    "publish.checkpointed": "the file aside is whole, the disk may not have it yet",
    "publish.synced": "the file aside is safe on the disk, under a name that nobody reads",
    "publish.clear_kept": "the clear copies have their name, which no snapshot has yet",
    "publish.renamed": "the new snapshot has its name, the pointer names the old one",
    "pointer.made": "the new pointer is beside the old one",
    "pointer.switched": "consumers see the other snapshot, nothing else is done",
    "publish.pruned": "snapshots that are too many are gone, the platform log does not know",
    "publish.logged": "the platform log knows of the publish, the run goes on",
    "rollback.begun": "the roll back holds the lock",
    "rollback.logged": "the platform log knows of the roll back",
    "pin.written_aside": "the pin is written under a name that nobody reads",
    "pin.kept": "the snapshot is pinned, the platform log does not know",
    "unpin.removed": "the pin is gone, the platform log does not know",
    "retention.marked": "what may go is marked, its raw rows are gone, its landed files are there",
    "retention.removed": "a landed file is gone, others that are marked are there",
    "retention.logged": "everything is gone and told, the ledger does not say that it is done",
    "backup.begun": "the backup holds the writer's lock, nothing is copied",
    "backup.part": "some parts are kept, another one is about to be written",
    "backup.landing_kept": "what landed is kept, the warehouse is not",
    "backup.parts_written": "everything is kept, no inventory names it",
    "backup.inventoried": "the backup is there, the platform log does not know",
    "restore.landed": "some landed files are back, the warehouse is as it was",
    "restore.snapshot": "a snapshot is back that nobody sees",
    "restore.workshop_aside": "the workshop of the backup lies beside the old one",
    "restore.workshop_replaced": "the workshop is the backup's, consumers see what they saw",
    "server.dropped": "the schemas are dropped on the server, the transaction is open",
    "server.table_filled": "a table is back on the server, the transaction is open",
    "server.uncommitted": "everything is back on the server, the transaction is open",
    "server.committed": "the restore is committed on the server, the platform log does not know",
}

_visits: Counter[str] = Counter()


def crash_point(name: str) -> None:
    crash, full = os.environ.get(CRASH_AT), os.environ.get(DISK_FULL_AT)
    if crash is None and full is None:
        return
    if name not in POINTS:
        raise KeyError(f"{name} is not in the register of crash points.")
    _visits[name] += 1
    here = (name, f"{name}@{_visits[name]}")
    if crash in here:
        os.kill(os.getpid(), signal.SIGKILL)
    if full in here:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
