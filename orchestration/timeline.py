"""Runs of `sluice run` on Dagster's first page, which shows those of its own code location only."""

from __future__ import annotations

from typing import Final

import dagster as dg
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

CODE: Final = "orchestration.definitions"
"""As `sluice up` starts it."""
OURS: Final = RemoteRepositoryOrigin(
    ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name=CODE), CODE),
    "__repository__",
)
LABEL: Final = {REPOSITORY_LABEL_TAG: OURS.get_label()}
"""A tag that a run is to be started with, so that it can be shown later."""


def show(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> None:
    """Once it has ended, and unless something other than a step failed: Dagster tries a run of its
    own again that was broken off.
    """
    run = instance.get_run_by_id(result.run_id)
    if run is not None and (run.is_success or result.get_failed_step_keys()):
        origin = OURS.get_job_origin(run.job_name)
        instance.run_storage.replace_job_origin(run, origin)
