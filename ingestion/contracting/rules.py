"""What may change in a contract, and what each change costs: the rules, as data.

docs/reference/contract_rules.md is made of this table, and tests hold one example of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["compatible", "backfill", "breaking"]
VERDICTS: Final[tuple[Verdict, ...]] = ("compatible", "backfill", "breaking")


@dataclass(frozen=True)
class Rule:
    """A kind of change: how it is judged, why, and what is to be done."""

    key: str
    change: str
    verdict: Verdict
    why: str
    remedy: str = ""


_REPLAY: Final = (
    "After the merge: `sluice backfill plan --source {source} --entity {entity}`, then "
    "`sluice backfill run`, reads what has landed anew."
)
_BOTH: Final = (
    "Promise it beside the old one, move the readers, announce the old one's end (`deprecated_on`)."
)
_AGREE: Final = "Agree on it first with the owners whom it reaches."

_RULES: Final = (
    Rule("table_added", "a table is added", "compatible",
         "Nobody reads it yet."),
    Rule("table_removed", "a table is removed", "breaking",
         "What reads it has no source any more, and what still arrives is not loaded.",
         "Take the models that read it out in the same change, and agree with their owners."),
    Rule("column_added", "a column is added that need not be there", "compatible",
         "Files without it are as good as before. In rows that are loaded already it is null; what "
         "came of it unknown stays in `_extra` until a replay."),
    Rule("column_added_required", "a required column is added", "breaking",
         "A file without it is refused, and with it everything that the source sent since.",
         "Add it without `required`; tighten it once every file brings it."),
    Rule("column_renamed_with_alias", "a column is renamed, the old name is an alias", "backfill",
         "Files under either name are taken; rows that are loaded already have the old name.",
         f"Change the models that read it in the same change. {_REPLAY}"),
    Rule("column_renamed", "a column is renamed without an alias", "breaking",
         "Files under the old name lose it: as unknown, or refused if it is required.",
         "Keep the old name: `aliases: [{was}]`."),
    Rule("column_dropped_deprecated", "a column is dropped after its announced day", "compatible",
         "Its end was announced, its day has come, and no model reads it."),
    Rule("column_dropped_early", "a column is dropped before its announced day", "breaking",
         "Its readers were promised it until then.",
         "Wait until that day, or agree on an earlier one."),
    Rule("column_dropped", "a column is dropped that nobody had announced", "breaking",
         "Its readers had no notice.",
         'Announce it first: `deprecated_on: "<day>"` in the column\'s meta; drop it after that.'),
    Rule("column_dropped_still_read", "a column is dropped that a model still reads", "breaking",
         "Its end was announced, but these models still read it.",
         "Take it out of those models in the same change."),
    Rule("deprecation_announced", "a column's end is announced", "compatible",
         "It stays until that day; the check names those who read it."),
    Rule("deprecation_too_late", "a column's end is announced for a day that is past", "breaking",
         "A notice that begins in the past is none.",
         "Name a day that gives the readers time."),
    Rule("deprecation_hastened", "a column's end is announced for an earlier day", "breaking",
         "Its readers were promised it until the later one.", _AGREE),
    Rule("deprecation_postponed", "a column's end is put off, or called off", "compatible",
         "It stays longer than promised."),
    Rule("type_widened", "a type is widened: integer → bigint → decimal, more digits", "backfill",
         "Every value still fits; the raw table must be made anew with the wider type.", _REPLAY),
    Rule("type_narrowed", "a type is narrowed", "breaking",
         "Values that do not fit any more go to quarantine, also from what has landed.", _BOTH),
    Rule("type_changed", "a type becomes another kind of type", "breaking",
         "What reads it counts, compares or adds up the old kind.", _BOTH),
    Rule("required_relaxed", "a required column need not be there any more", "compatible",
         "The loader takes more than before. Readers may meet nulls: the check names them."),
    Rule("required_relaxed_key", "a column of the key need not be there any more", "breaking",
         "A row whose key is null speaks of nothing that can be found again.",
         "Keep what identifies a row required."),
    Rule("required_tightened", "a column becomes required", "breaking",
         "Rows without it go to quarantine, files without it are refused, also in a replay.",
         "Hold what has landed against it first (`sluice contract test`); agree with the source."),
    Rule("alias_added", "a column may come under one more name", "compatible",
         "Files under the other names are as good as before."),
    Rule("alias_removed", "a column may not come under a name any more", "breaking",
         "Files under that name lose it, also those that have landed and are replayed.",
         "Keep the alias: it costs nothing."),
    Rule("key_changed", "the key changes", "breaking",
         "Which rows speak of the same thing is another question: staging keeps other ones.",
         f"Change the staging model and its tests with it. {_REPLAY}"),
    Rule("classification_raised", "a column is classified higher", "backfill",
         "What is published must be masked anew, and older snapshots still hold it clear.",
         "After the merge: `sluice run`. `sluice check` shows the models that are called less."),
    Rule("classification_lowered", "a column is classified lower", "breaking",
         "What was protected becomes visible with the next publish.", _AGREE),
    Rule("freshness_tightened", "fresher data is promised", "compatible",
         "Readers get more than before."),
    Rule("freshness_loosened", "staler data is promised, or nothing about it", "breaking",
         "What is promised downstream rests on it.", _AGREE),
    Rule("format_changed", "the files' format changes", "breaking",
         "The loader refuses files of the old format, also those that have landed.",
         "Promise a new table in the new format, and let staging read both."),
    Rule("delimiter_changed", "the CSV's delimiter changes", "breaking",
         "Files with the old one have a header that nobody can read.",
         "Promise a new table, and let staging read both."),
    Rule("change_log_changed", "rows become changes, or changes become rows", "breaking",
         "Staging makes another thing of the same rows.",
         "Promise a new table, and let staging read both."),
    Rule("drift_loosened", "unknown columns do less: freeze → quarantine → evolve", "compatible",
         "The loader takes more than before."),
    Rule("drift_tightened", "unknown columns do more: evolve → quarantine → freeze", "breaking",
         "Rows or files that were taken so far are set aside or refused.",
         "Contract the columns that come already, then tighten."),
    Rule("line_limit_raised", "longer lines are taken", "compatible",
         "The loader takes more than before."),
    Rule("line_limit_lowered", "longer lines are not taken any more", "breaking",
         "Rows that were taken so far go to quarantine.", _AGREE),
    Rule("schema_changed", "the raw schema changes", "backfill",
         "The raw table begins empty under its new name.", _REPLAY),
    Rule("owner_changed", "another team answers for the source", "compatible",
         "The promise is the same; it is somebody else's."),
)  # fmt: skip

RULES: Final = {rule.key: rule for rule in _RULES}


def worst(verdicts: tuple[Verdict, ...]) -> Verdict:
    return max(verdicts, key=VERDICTS.index, default="compatible")


def reference() -> str:
    """The rules as a page."""
    lines = [
        "# Contract rules",
        "",
        "How `sluice contract check` judges a change of a source's contract. Made from the code,",
        "not by hand; to make it anew:",
        "`UPDATE_REFERENCE=1 .venv/bin/python -m pytest tests/ingestion/test_contract_rules.py`.",
        "",
        "**compatible**: merge it. **backfill**: merge it, and do what stands there to the data",
        "that is there already. **breaking**: agree with those whom it reaches first.",
    ]
    for verdict in VERDICTS:
        lines += [
            "",
            f"## {verdict.capitalize()}",
            "",
            "| change | why | what to do |",
            "|---|---|---|",
        ]
        lines += [
            f"| {rule.change} (`{rule.key}`) | {rule.why} | {_plain(rule.remedy)} |"
            for rule in _RULES
            if rule.verdict == verdict
        ]
    return "\n".join([*lines, ""])


def _plain(remedy: str) -> str:
    return remedy.format(source="<source>", entity="<table>", was="<old name>") or "–"
