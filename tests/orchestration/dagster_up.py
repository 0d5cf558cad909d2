"""Dagster's pages and daemon as a user starts them, asked as its pages ask: over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import dagster_pages
import pytest
from platform_under_test import Sluice

from warehouse.settings import PROJECT_ROOT

Found = TypeVar("Found")
LOOKS = 300
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


@dataclass(frozen=True)
class Dagster:
    address: str

    def ask(self, query: str, **variables: Any) -> Any:
        request = urllib.request.Request(
            f"{self.address}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            told = json.load(answer)
        assert "errors" not in told, told["errors"]
        return told["data"]

    def runs(self) -> list[Mapping[str, Any]]:
        """The newest first."""
        asked = self.ask(
            "{ runsOrError { ... on Runs { results { runId jobName status tags { key value }"
            " repositoryOrigin { repositoryLocationName } } } } }"
        )
        found: list[Mapping[str, Any]] = asked["runsOrError"]["results"]
        return found

    def shown(self, *run_ids: str) -> str:
        """Whatever the pages show, of these runs and of everything else."""
        answers = [self.ask(dagster_pages.EVERYTHING_ELSE, repository=self.repository())]
        for run in run_ids:
            cursor, has_more = None, True
            while has_more:
                answers.append(self.ask(dagster_pages.RUN, run=run, cursor=cursor))
                events = answers[-1]["runOrError"]["eventConnection"]
                cursor, has_more = events["cursor"], events["hasMore"]
        with urllib.request.urlopen(f"{self.address}/runs", timeout=60) as page:
            return json.dumps(answers, ensure_ascii=False) + str(page.read().decode())

    def asset(self, *path: str) -> Mapping[str, Any]:
        """An asset as its page and the lineage show it."""
        asked = self.ask(dagster_pages.ASSET, key={"path": path})
        [latest] = asked["assetsLatestInfo"]
        return {**asked["assetNodeOrError"], "latestRun": latest["latestRun"]["runId"]}

    def ended(self, run_id: str) -> Mapping[str, Any]:
        def look() -> Mapping[str, Any] | None:
            run = next(each for each in self.runs() if each["runId"] == run_id)
            return run if run["status"] in ENDED else None

        return until(look, f"run {run_id} ends")

    def repository(self) -> Mapping[str, str]:
        asked = self.ask(
            "{ repositoriesOrError { ... on RepositoryConnection { nodes"
            " { name location { name } } } } }"
        )
        [node] = asked["repositoriesOrError"]["nodes"]
        return {
            "repositoryName": node["name"],
            "repositoryLocationName": node["location"]["name"],
        }


@contextmanager
def up(sluice: Sluice) -> Iterator[Dagster]:
    """`sluice up` for as long as the block lasts."""
    log = sluice.folder / "up.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            # As a script starts it that goes on: deaf to Ctrl-C.
            ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "cli.main", "up"],
            cwd=PROJECT_ROOT,
            env=dict(sluice.environment),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        line = until(lambda: re.search(r"Dagster: (\S+)", log.read_text()), "an address is told")
        dagster = Dagster(line.group(1))

        def answers() -> bool:
            try:
                return bool(dagster.repository())
            except (OSError, AssertionError, ValueError):
                return False

        until(answers, f"{dagster.address} answers")
        yield dagster
    finally:
        # As a service manager does it: we are told, and Dagster has to end with us.
        process.terminate()
        try:
            process.wait(timeout=LOOKS * 0.5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def until(look: Callable[[], Found | None], what: str) -> Found:
    # Counted in looks: where the machine stands still, nobody else gets on either.
    for _ in range(LOOKS):
        found = look()
        if found:
            return found
        time.sleep(0.5)
    pytest.fail(f"not within {LOOKS} looks: {what}")
