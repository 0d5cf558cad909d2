"""What a schema is called in this environment: nothing else spells one.

Several environments can live in one database: SLUICE_SCHEMA_PREFIX stands before every schema
and every reading role that one of them makes. Without it a schema is called after what lies in
it. dbt says the same by itself (macros/generate_schema_name.sql, and the
`schema:` of each source).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from warehouse.errors import SettingsError
from warehouse.settings import settings

# As a source's YAML writes it, so that dbt reads the environment's own raw tables.
IN_YAML: Final = "{{ env_var('SLUICE_SCHEMA_PREFIX', '') }}"
LONGEST: Final = 63


@dataclass(frozen=True)
class Schema:
    """A schema (or `schema.table`); in a statement it stands as this environment calls it.

    A statement has to be written when it is used: a constant would keep the name of whichever
    environment imported it.
    """

    word: str

    def __str__(self) -> str:
        return called(self.word)


def called(word: str) -> str:
    """The name here of a schema or a role; PostgreSQL would cut a long one without a word."""
    name = settings().schema_prefix + word
    if len(name.partition(".")[0].encode()) > LONGEST:
        raise SettingsError(
            f"SLUICE_SCHEMA_PREFIX is too long: {name} would have more than {LONGEST} letters.",
            remedy="Choose a shorter one, such as ci_42_.",
        )
    return name


def lock(number: int) -> int:
    """An advisory lock's number: environments in one database do not wait for each other."""
    prefix = settings().schema_prefix
    # The signs of a bigint: what follows the prefix's own half is the number as it is without one.
    return (zlib.crc32(prefix.encode()) >> 1 << 32) + number if prefix else number
