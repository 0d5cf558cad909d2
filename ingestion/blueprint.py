"""The files of a new source, in our style: contract, staging model, checks. Text, no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from catalog.yaml_lines import WIDTH, entry, key_test, scalar, sentence, whole
from ingestion.contracting.promises import Promise, PromisedColumn
from ingestion.contracting.source_yaml import written
from ingestion.contracts import Contract
from ingestion.proposal import Proposal, Proposed

_WATCHED: Final = 5


def files(proposals: Sequence[Proposal]) -> Mapping[PurePosixPath, str]:
    """Of one source, by its place in the repository, the text of each file."""
    models, checks = PurePosixPath("dbt_project/models"), PurePosixPath("quality/checks")
    source = proposals[0].source
    found = {models / "raw" / f"{source}.yml": contract_text(proposals)}
    for each in proposals:
        staging = models / "staging" / source / each.model
        found |= {
            staging.with_name(f"{each.model}.sql"): model_text(each),
            staging.with_name(f"{each.model}.yml"): model_yaml(each),
            checks / "raw" / f"{source}.{each.entity}.yml": raw_checks(each),
            checks / "staging" / f"{each.model}.yml": staging_checks(each),
        }
    return found


def contract_text(proposals: Sequence[Proposal]) -> str:
    connectors = {each.entity: each.entity_connector for each in proposals}
    return written([_promise(each) for each in proposals], proposals[0].connector, connectors)


def _promise(proposal: Proposal) -> Promise:
    received = proposal.received
    return Promise(
        contract=Contract(
            source=proposal.source,
            entity=proposal.entity,
            schema=f"raw_{proposal.source}",
            format=received.format,
            on_drift="evolve",
            columns=(),
            delimiter=received.delimiter if received.format == "csv" else ",",
            key=tuple(proposal.key),
        ),
        columns=tuple(
            PromisedColumn(
                name=column.name,
                data_type=column.data_type,
                is_required=column.is_required,
                aliases=(column.alias,) if column.alias else (),
                classification="personal" if column.personal else "internal",
                description=_described(column),
            )
            for column in proposal.columns
        ),
        owner=proposal.owner,
        tier=proposal.tier,
        freshness_hours=proposal.freshness_hours,
        description=_raw_grain(proposal),
        source_description=_sentence(proposal),
    )


def model_text(proposal: Proposal) -> str:
    keys = proposal.key or _comparable(proposal)
    order = [f"{proposal.newest} desc"] if proposal.newest else []
    order += ["_batch_id desc", "_row_number desc"]
    return whole(
        [
            f"-- {_grain(proposal)}",
            "with deliveries as (",
            f"    select * from {{{{ source('{proposal.source}', '{proposal.entity}') }}}}",
            "),",
            "",
            "latest as (",
            "    {{ deduplicate_latest(",
            "        'deliveries',",
            *_argument(keys),
            *_argument(order),
            "    ) }}",
            ")",
            "",
            "select",
            *(
                f"    {column.name}{',' if column is not proposal.columns[-1] else ''}"
                for column in proposal.columns
            ),
            "from latest",
        ]
    )


def model_yaml(proposal: Proposal) -> str:
    kind = "personal" if proposal.is_personal else "internal"
    lines = [
        "version: 2",
        "",
        "models:",
        f"  - name: {proposal.model}",
        f"    description: {_grain(proposal)}",
        "    config:",
        f"      meta: {{owner: {scalar(proposal.owner)}, tier: {proposal.tier}, "
        f"classification: {kind}}}",
    ]
    lines += [*key_test(proposal.key), "    columns:"]
    for column in proposal.columns:
        lines += [
            f"      - name: {column.name}",
            f"        data_type: {column.data_type}",
            f"        description: {sentence(_described(column))}",
        ]
        if column.personal:
            lines.append("        config: {meta: {classification: personal}}")
        if (column.name,) == proposal.key:
            lines.append("        data_tests: [unique, not_null]")
    return whole(lines)


def raw_checks(proposal: Proposal) -> str:
    lines = [
        "checks:",
        "  - row_count:",
        "  - quarantined:",
        "      threshold: {metric: percent, must_be_less_than: 25, "
        "additional: {level: warn, must_be_less_than: 5}}",
    ]
    sets = [c for c in proposal.columns if c.seen.values and not c.personal]
    if sets:
        lines.append("columns:")
    for column in sets:
        lines += [
            f"  - name: {column.name}",
            "    checks:",
            "      # A new value is news, not a reason to stop while it is rare.",
            "      - invalid:",
            *entry("valid_values", column.seen.values, 10),
            "          threshold: {metric: percent, must_be_less_than: 5, "
            "additional: {level: warn, must_be: 0}}",
        ]
    return whole(lines)


def staging_checks(proposal: Proposal) -> str:
    lines, checked = ["checks:", "  - row_count:"], list[str]()
    # A handful of gaps is watched; a hundred would be noise.
    watched = [c for c in proposal.columns if _gaps(c) and c.name not in proposal.key][:_WATCHED]
    for column in proposal.columns:
        own = [*(_gaps(column) if column in watched else []), *_range(column)]
        if own and column.name not in proposal.key:
            checked += [f"  - name: {column.name}", "    checks:", *own]
    return whole(lines + (["columns:", *checked] if checked else []))


def _sentence(proposal: Proposal) -> str:
    how = {"files": "Files that somebody drops", "rest": "Rows of an HTTP API",
           "sql": "Rows of a database"}  # fmt: skip
    kind = str(proposal.connector.get("kind", ""))
    return f"{how.get(kind, 'Files')}, as {proposal.source} sends them."


def _raw_grain(proposal: Proposal) -> str:
    return f"One row per delivery of a row of {proposal.entity}."


def _grain(proposal: Proposal) -> str:
    """One sentence, and no longer than a line."""
    if not proposal.key:
        return f"One row per different row of {proposal.entity}."
    *first, last = proposal.key
    words = f"{', '.join(first)} and {last}" if first else last
    return f"One row per {words} of {proposal.entity}, in its latest version."


def _comparable(proposal: Proposal) -> Sequence[str]:
    """What engines can compare; JSON, which not all can, as its text."""
    return [
        f"cast({c.name} as varchar)" if c.data_type == "json" else c.name for c in proposal.columns
    ]


def _argument(words: Sequence[str]) -> list[str]:
    one_line = f"        [{', '.join(repr(word) for word in words)}],"
    if len(one_line) <= WIDTH:
        return [one_line]
    return ["        [", *(f"            {word!r}," for word in words), "        ],"]


def _described(column: Proposed) -> str:
    """A first sentence; whoever knows the source says it better."""
    words = column.name.replace("_", " ").removesuffix(" value")
    first = f"{words[:1].upper()}{words[1:]}, as the source sends it."
    values = [f"`{value}`" for value in column.seen.values]
    if column.personal or not values or any(set(value) & set("{}%#") for value in values):
        return first
    listed = f"{', '.join(values[:-1])} or {values[-1]}."
    return listed if len(listed) <= WIDTH else first


def _gaps(column: Proposed) -> list[str]:
    """Twice the gaps that were seen, and 5 % where there were none."""
    missing = 100 * (1 - column.seen.filled / column.seen.rows)
    allowed = max(5, round(2 * missing))
    if allowed >= 80:
        return []
    return [f"      - missing: {{threshold: {{metric: percent, must_be_less_than: {allowed}}}}}"]


def _range(column: Proposed) -> list[str]:
    is_number = column.data_type.startswith(("decimal", "bigint"))
    counts = r"(.*_)?(amount|count|price|quantity|qty|cost|total|weight|size|age|duration)(_.*)?"
    if not is_number or not column.seen.low or float(column.seen.low) < 0:
        return []
    if not re.fullmatch(counts, column.name):
        return []
    return [f"      - invalid: {{name: negative {column.name}, valid_min: 0}}"]
