"""What the SQL of a check file may refer to as ${var.NAME}."""

from __future__ import annotations

import re
from collections.abc import Mapping


def filled(sql: str, variables: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\s*([^}]*?)\s*\}", lambda found: variables.get(found[1], found[0]), sql)
