"""The files of a new source, in our style: contract, staging model, checks. Text, no I/O."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from ingestion.proposal import Proposal, Proposed
from warehouse.schemas import IN_YAML

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_/.-]*( [A-Za-z0-9_/.-]+)*")
_WORDS: Final = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
_WIDE: Final = 100
_WATCHED: Final = 5


def files(proposal: Proposal) -> Mapping[PurePosixPath, str]:
    """By its place in the repository the text of each file."""
    models = PurePosixPath("dbt_project/models")
    staging = models / "staging" / proposal.source / proposal.model
    checks = PurePosixPath("quality/checks")
    return {
        models / "raw" / f"{proposal.source}.yml": contract_text(proposal),
        staging.with_name(f"{proposal.model}.sql"): model_text(proposal),
        staging.with_name(f"{proposal.model}.yml"): model_yaml(proposal),
        checks / "raw" / f"{proposal.source}.{proposal.entity}.yml": raw_checks(proposal),
        checks / "staging" / f"{proposal.model}.yml": staging_checks(proposal),
    }


def contract_text(proposal: Proposal) -> str:
    received = proposal.received
    head = [
        "version: 2",
        "",
        f"# The contract of {proposal.source} (app.yml says what the keys below `meta` mean).",
        "sources:",
        f"  - name: {proposal.source}",
        f"    description: {sentence(_sentence(proposal))}",
        '    database: "{{ target.database }}"',
        f'    schema: "{IN_YAML}raw_{proposal.source}"',
        "    config:",
        "      meta:",
        f"        owner: {scalar(proposal.owner)}",
        f"        tier: {proposal.tier}",
        "        classification: internal",
        *_connector(proposal.connector, "        "),
        "    tables:",
        f"      - name: {proposal.entity}",
        f"        description: {_raw_grain(proposal)}",
        "        config:",
        "          meta:",
        f"            format: {received.format}",
    ]
    if received.format == "csv" and received.delimiter != ",":
        head.append(f"            delimiter: {json.dumps(received.delimiter)}")
    head += [
        f"            key: [{', '.join(proposal.key)}]",
        *_connector(proposal.entity_connector, "            "),
        "            change_log: false",
        "            on_drift: evolve",
        f"            service_level: {{freshness_hours: {proposal.freshness_hours}}}",
        "        columns:",
    ]
    return _text([*head, *(line for c in proposal.columns for line in _contract_column(c))])


def model_text(proposal: Proposal) -> str:
    keys = proposal.key or _comparable(proposal)
    order = [f"{proposal.newest} desc"] if proposal.newest else []
    order += ["_batch_id desc", "_row_number desc"]
    return _text(
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
    if len(proposal.key) > 1:
        lines += [
            "    data_tests:",
            "      - unique_combination:",
            f"          arguments: {{columns: [{', '.join(proposal.key)}]}}",
        ]
    lines.append("    columns:")
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
    return _text(lines)


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
            *_listed("valid_values", column.seen.values, "          "),
            "          threshold: {metric: percent, must_be_less_than: 5, "
            "additional: {level: warn, must_be: 0}}",
        ]
    return _text(lines)


def staging_checks(proposal: Proposal) -> str:
    lines, checked = ["checks:", "  - row_count:"], list[str]()
    # A handful of gaps is watched; a hundred would be noise.
    watched = [c for c in proposal.columns if _gaps(c) and c.name not in proposal.key][:_WATCHED]
    for column in proposal.columns:
        own = [*(_gaps(column) if column in watched else []), *_range(column)]
        if own and column.name not in proposal.key:
            checked += [f"  - name: {column.name}", "    checks:", *own]
    return _text(lines + (["columns:", *checked] if checked else []))


def scalar(text: str) -> str:
    """A YAML string within braces or brackets: bare where that is safe, else in quotes."""
    is_bare = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
    return text if is_bare else json.dumps(text, ensure_ascii=False)


def sentence(text: str) -> str:
    """A YAML string on a line of its own, where commas and the full stop do no harm."""
    is_bare = _PLAIN.fullmatch(text.removesuffix(".").replace(", ", " "))
    return text if is_bare else json.dumps(text, ensure_ascii=False)


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
    if len(one_line) <= _WIDE:
        return [one_line]
    return ["        [", *(f"            {word!r}," for word in words), "        ],"]


def _connector(declared: Mapping[str, Any], indent: str) -> list[str]:
    if not declared:
        return []
    one_line = f"{indent}connector: {_flow(declared)}"
    if len(one_line) <= _WIDE:
        return [one_line]
    return [
        f"{indent}connector:",
        *(f"{indent}  {name}: {_flow(value)}" for name, value in declared.items()),
    ]


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_flow(each)}' for name, each in value.items())}}}"
    return scalar(value) if isinstance(value, str) else json.dumps(value)


def _contract_column(column: Proposed) -> list[str]:
    meta: list[str] = []
    if column.is_required:
        meta.append("required: true")
    if column.alias:
        meta.append(f"aliases: [{scalar(column.alias)}]")
    if column.personal:
        meta.append("classification: personal")
    lines = [
        f"          - name: {column.name}",
        f"            data_type: {column.data_type}",
        f"            description: {sentence(_described(column))}",
    ]
    return [*lines, f"            config: {{meta: {{{', '.join(meta)}}}}}"] if meta else lines


def _described(column: Proposed) -> str:
    """A first sentence; whoever knows the source says it better."""
    words = column.name.replace("_", " ").removesuffix(" value")
    first = f"{words[:1].upper()}{words[1:]}, as the source sends it."
    values = [f"`{value}`" for value in column.seen.values]
    if column.personal or not values or any(set(value) & set("{}%#") for value in values):
        return first
    listed = f"{', '.join(values[:-1])} or {values[-1]}."
    return listed if len(listed) <= _WIDE else first


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


def _listed(name: str, values: Iterable[str], indent: str) -> list[str]:
    quoted = [scalar(value) for value in values]
    one_line = f"{indent}{name}: [{', '.join(quoted)}]"
    if len(one_line) <= _WIDE:
        return [one_line]
    return [f"{indent}{name}:", *(f"{indent}  - {value}" for value in quoted)]


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"
