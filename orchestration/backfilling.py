"""Doing what a backfill's plan says: step by step, each under the writer's lock, which is free in
between. Ended anywhere, it carries on from its last mark.

From its first step on the datasets that it changes are held: other runs leave them as they are,
and a publish shows them as they were. Its last step lets them go, and one publish shows them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path

from catalog.catalog import Catalog, Dataset, load_catalog
from ingestion.portions import Portion, finish, replay_portion
from ingestion.replay import replay_source
from orchestration.backfill_costs import DAYS, rows_by_day
from orchestration.backfill_plan import ENDED, Plan, Standing, Step, log, span, standing
from orchestration.backfill_planning import built_of, definitions_of
from orchestration.jobs import BUILD, PUBLISH
from orchestration.progress import Reporter
from orchestration.running import run as run_jobs
from warehouse import backfills, builds, dbt
from warehouse.alone import alone_or_refused
from warehouse.backfills import DONE
from warehouse.clock import wall_clock
from warehouse.connection import Connection
from warehouse.errors import GateClosedError, SluiceError
from warehouse.settings import settings
from warehouse.workshop import connect, transaction, writing

CHANGED = "changed"
"""A mark: the step's files or days are written, its datasets are to be built and judged."""


def run(backfill_id: str, report: Reporter) -> Standing:
    """Carry on from wherever it is, to its end."""
    plan = _open(standing(settings(), backfill_id))
    with _one_of_it(plan):
        number = _next(plan, report)
        while number < len(plan.steps):
            _do(plan, number, report)
            number += 1
        _end(plan, report)
    return standing(settings(), plan.backfill_id)


def stop(backfill_id: str, report: Reporter) -> Standing:
    """Give up: what was rebuilt aside is thrown away, what was held is let go."""
    plan = _open(standing(settings(), backfill_id))
    catalog = load_catalog(settings())
    with _one_of_it(plan), _writing(plan, report) as connection:
        for step in plan.steps:
            model = catalog.named(step.subject)
            if step.kind == "take" and model is not None:
                backfills.forget_parts(connection, model.schema, model.name)
        backfills.let_go(connection, plan.backfill_id)
        log(settings(), plan, "stopped")
    return standing(settings(), plan.backfill_id)


def _open(found: Standing) -> Plan:
    if found.state in ENDED:
        how = "has ended" if found.state == "ended" else "was stopped"
        raise SluiceError(
            f"Backfill {found.plan.backfill_id} {how}.",
            remedy=f"`sluice backfill plan {found.plan.asked}` plans it again.",
        )
    return found.plan


@contextmanager
def _one_of_it(plan: Plan) -> Iterator[None]:
    lock = Path(settings().data_dir) / "warehouse" / "backfill.lock"
    with alone_or_refused(
        lock,
        "A backfill runs in another process.",
        f"Let it end, then `sluice backfill run {plan.backfill_id}`.",
    ):
        yield


@contextmanager
def _writing(plan: Plan, report: Reporter) -> Iterator[Connection]:
    with (
        writing(settings(), f"backfill {plan.backfill_id}", waiting=report),
        closing(connect(settings())) as connection,
    ):
        yield connection


def _next(plan: Plan, report: Reporter) -> int:
    """The first step without a mark; the first of all is begun."""
    with _writing(plan, report) as connection:
        done = {
            step for step, what in backfills.marks(connection, plan.backfill_id) if what == DONE
        }
        held = backfills.held(connection)
        mine = any(each.backfill_id == plan.backfill_id for each in held.values())
        if not mine and len(done) < len(plan.steps):
            _begin(plan, connection, held)
    return next((n for n in range(len(plan.steps)) if n not in done), len(plan.steps))


def _begin(plan: Plan, connection: Connection, held: dict[str, backfills.Hold]) -> None:
    others = {held[key].backfill_id for key in plan.datasets if key in held}
    if others:
        raise SluiceError(
            f"Backfill {min(others)} has begun to change the same datasets.",
            remedy=f"`sluice backfill run {min(others)}` ends it, `sluice backfill stop "
            f"{min(others)}` gives it up.",
        )
    if built_of(builds.read(connection), plan.datasets) != plan.built:
        raise _stale(plan, "what it was to change has been built from another definition since")
    _fit(plan, load_catalog(settings()))
    backfills.hold(connection, plan.backfill_id, plan.datasets, wall_clock())
    log(settings(), plan, "started")


def _fit(plan: Plan, catalog: Catalog) -> None:
    if definitions_of(catalog, plan.datasets) != plan.definitions:
        raise _stale(plan, "a model or contract that it touches has changed since")


def _stale(plan: Plan, why: str) -> SluiceError:
    return SluiceError(
        f"The plan {plan.backfill_id} does not fit any more: {why}.",
        remedy=f"`sluice backfill stop {plan.backfill_id}`, then "
        f"`sluice backfill plan {plan.asked}`.",
    )


def _do(plan: Plan, number: int, report: Reporter) -> None:
    step, started = plan.steps[number], time.monotonic()
    left = span(standing(settings(), plan.backfill_id).left)
    about = f" (about {left} left)" if left else ""
    report(f"step {number + 1} of {len(plan.steps)}{about}: {step}")
    catalog = load_catalog(settings())
    _fit(plan, catalog)
    try:
        rows = _change(plan, number, catalog, report)
        if step.datasets:
            _build(plan, step, report)
    except SluiceError as error:
        log(settings(), plan, "failed", step=number + 1, reason=error.what)
        raise
    with _writing(plan, report) as connection:
        backfills.mark(connection, plan.backfill_id, number, DONE)
    log(
        settings(), plan, "step", step=number + 1, what=str(step), row_count=rows,
        seconds=round(time.monotonic() - started, 3),
    )  # fmt: skip


def _build(plan: Plan, step: Step, report: Reporter) -> None:
    """An ordinary run of these datasets: gates and tests hold as in every other."""
    outcome = run_jobs(step.datasets, report=report, jobs=[BUILD], backfill=plan.backfill_id)
    if not outcome.success:
        told = "; ".join(outcome.problems) or "a gate closed (above: ✗)"
        raise GateClosedError(
            f"The backfill stopped in this step: {told}",
            remedy="Mend it (docs/on_call.md), then "
            f"`sluice backfill run {plan.backfill_id}` carries on.",
        )


def _change(plan: Plan, number: int, catalog: Catalog, report: Reporter) -> int | None:
    """What only a backfill does: read files anew, ask for days, build days aside."""
    step = plan.steps[number]
    if step.kind in ("rest", "take"):
        return None
    with _writing(plan, report) as connection:
        if (number, CHANGED) in backfills.marks(connection, plan.backfill_id):
            return None

        def mark() -> None:
            backfills.mark(connection, plan.backfill_id, number, CHANGED)

        if step.kind == "batches":
            return _read_anew(plan, number, connection, mark)
        if step.kind == "replay":
            result = replay_source(settings(), connection, step.subject)
            for refusal in result.refused:
                raise SluiceError(f"{refusal.file}: {refusal.reason}", remedy=refusal.remedy)
            mark()
            return result.rows
        if step.kind == "days":
            model = catalog[step.subject]
            held = rows_by_day(connection, model)
            days = [day for day in _range(step) if day in held]
            with transaction(connection):
                backfills.ask(connection, model.name, days, in_parts=False)
                mark()
            return sum(held[day] for day in days)
    return _build_aside(plan, number, catalog, report)


def _read_anew(plan: Plan, number: int, connection: Connection, mark: Callable[[], None]) -> int:
    step = plan.steps[number]
    first, last = step.batches
    portion = Portion(
        step.subject, step.entities, first, last, step.count, 0, step.first, step.last
    )
    rows, _ = replay_portion(settings(), connection, portion, mark)
    is_last = all(each.kind != "batches" or each.subject != step.subject
                  for each in plan.steps[number + 1 :])  # fmt: skip
    if is_last and "--from" not in plan.asked and "--to" not in plan.asked:
        for each in plan.steps:
            if (each.kind, each.subject) == ("batches", step.subject):
                for entity in each.entities:
                    finish(settings(), connection, step.subject, entity)
    return rows


def _build_aside(plan: Plan, number: int, catalog: Catalog, report: Reporter) -> int:
    """These days; with a model's last ones also those that nobody knew of when it was planned."""
    step, rows = plan.steps[number], 0
    model = catalog[step.subject]
    is_last = plan.steps[number + 1].kind == "take"
    while True:
        with writing(settings(), f"backfill {plan.backfill_id}", waiting=report):
            days = _asked(model, step, is_last=is_last)
            if not days:
                return rows
            outcome = dbt.run(settings(), ["run", "--select", f"{model.name},resource_type:model"])
        if not outcome.success:
            told = "; ".join(each.message for each in outcome.nodes) or outcome.error
            raise SluiceError(
                f"{model.key}: {told}",
                remedy="Mend the model; then stop this backfill and plan it again.",
            )
        rows += sum(each.rows or 0 for each in outcome.nodes)


def _asked(model: Dataset, step: Step, *, is_last: bool) -> list[date]:
    with closing(connect(settings())) as connection:
        owed = backfills.owed(connection, model.name)
        wanted = set(_range(step))
        days = sorted(wanted if owed is None else wanted & set(owed))
        if not days and is_last and owed:
            days = list(owed[:DAYS])
        if days:
            backfills.ask(connection, model.name, days, in_parts=True)
    return days


def _range(step: Step) -> Sequence[date]:
    first, last = date.fromisoformat(step.first), date.fromisoformat(step.last)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _end(plan: Plan, report: Reporter) -> None:
    """Everything is built and judged: one publish shows it."""
    with _writing(plan, report) as connection:
        backfills.let_go(connection, plan.backfill_id)
    log(settings(), plan, "ended")
    outcome = run_jobs(plan.datasets, report=report, jobs=[PUBLISH])
    if not outcome.success:
        raise GateClosedError(
            "The backfill has ended, and its publish was not whole (above: ✗).",
            remedy="`sluice status` says what is closed; `sluice run` publishes again.",
        )
