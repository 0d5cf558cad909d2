"""Of a row that was not understood, no value is shown whose column is not known to be harmless."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gated_company import dataset

from catalog.catalog import Catalog, Column
from ingestion.quarantine import QuarantinedRow
from quality.quarantined import ShownRow, shown_rows
from warehouse.settings import Settings

CONTRACT = """
sources:
  - name: shop
    schema: raw_shop
    tables:
      - name: {entity}
        config: {{meta: {{format: {format}, key: [visitor_id]}}}}
        columns:
          - {{name: visitor_id, data_type: varchar}}
          - {{name: email, data_type: varchar, config: {{meta: {{aliases: [Contact]}}}}}}
          - {{name: visits, data_type: bigint, config: {{meta: {{aliases: [Times]}}}}}}
"""
FILE = "shop/visitors/2025-03-01/a"


class House(Settings):
    @property
    def dbt_project_dir(self) -> Path:
        return self.data_dir / "dbt_project"


COLUMNS = (
    Column("visitor_id", "varchar", "", "internal"),
    Column("email", "varchar", "", "personal", aliases=("Contact",)),
    Column("visits", "bigint", "", "internal", aliases=("Times",)),
)


def shown(
    folder: Path,
    format_: str,
    content: str,
    header: str = "",
    columns: tuple[Column, ...] = COLUMNS,
) -> ShownRow:
    here = House(data_dir=folder)
    yaml = here.dbt_project_dir / "models" / "raw" / "shop.yml"
    yaml.parent.mkdir(parents=True, exist_ok=True)
    yaml.write_text(CONTRACT.format(entity="visitors", format=format_))
    if header:
        landed = Path(here.landing_url) / FILE
        landed.parent.mkdir(parents=True, exist_ok=True)
        landed.write_text(f"{header}\n{content}\n")
    key = "raw.shop.visitors"
    other = Column("phone", "varchar", "", "personal")
    catalog = Catalog(
        {
            key: replace(dataset(key, {}), columns=columns),
            "raw.shop.staff": replace(dataset("raw.shop.staff", {}), columns=(other,)),
        },
        {},
        {},
    )
    row = QuarantinedRow(
        "shop", "visitors", FILE, 2, None, "why", content, datetime(2025, 3, 1, tzinfo=UTC)
    )
    [found] = shown_rows(here, catalog, [row])
    return found


@pytest.mark.parametrize(
    ("content", "values", "rest"),
    [
        ('{"visitor_id": "v1", "Contact": "jane@x.io", "Times": "many"}',
         {"visitor_id": "v1", "Contact": "j***", "Times": "xxxx"}, 0),
        ('{"visitor_id": "v1", "visits": "+49 30/12 Ümit"}',
         {"visitor_id": "v1", "visits": "+99 99/99 xxxx"}, 0),
        ('{"visitor_id": "v1", "visits": 12}', {"visitor_id": "v1", "visits": "12"}, 0),
        # What these are nobody has said; the name is a column's elsewhere.
        ('{"visitor_id": "v1", "phone": "4711", "visits": {"by": "jane"}}',
         {"visitor_id": "v1", "phone": "4***", "visits": "***"}, 0),
        # A name may be what is personal.
        ('{"visitor_id": "v1", "jane@x.io": 1, "Jane": 2, "joe@x.io": 3, "": 4}',
         {"visitor_id": "v1", "j***": "***", "J***": "***", "j****": "***", "***": "***"}, 0),
        # Cut: of the last value nobody knows the rest.
        ('{"visitor_id": "v1", "visits": 12', {"visitor_id": "v1"}, 12),
        ('{"visitor_id": "v1", "email": "jane@x', {"visitor_id": "v1"}, 16),
        ('{"visitor_id": "v1" "email": "jane@x.io"}', {}, 40),
        ("jane@x.io", {}, 9),
        ('["jane@x.io"]', {}, 13),
    ],
)  # fmt: skip
def test_a_line_shows_what_its_names_allow(
    tmp_path: Path, content: str, values: dict[str, str], rest: int
) -> None:
    found = shown(tmp_path, "jsonl", content)
    assert (found.values, found.hidden_characters) == (values, rest)


def test_where_nothing_is_personal_a_record_is_shown(tmp_path: Path) -> None:
    columns = tuple(replace(each, classification="internal") for each in COLUMNS)
    found = shown(tmp_path, "csv", "v1,x,12,x", "visitor_id,email,visits,Jane", columns)
    assert found.values == {"visitor_id": "v1", "email": "x", "visits": "12", "J***": "x***"}
    # What a number is not may be anything.
    found = shown(tmp_path, "csv", "v1,x,0 30/12", "visitor_id,email,Times", columns)
    assert found.values == {"visitor_id": "v1", "email": "x", "Times": "9 99/99"}


@pytest.mark.parametrize(
    ("content", "header", "values", "rest"),
    [
        ("v1,jane@x.io,x", "visitor_id,Contact,visits",
         {"visitor_id": "x9", "Contact": "j***", "visits": "x"}, 0),
        # One field is missing and another has a comma: as many as the header has, and shifted.
        ("v1,Roe, Jane,7", "email,visitor_id,note,visits",
         {"email": "v***", "visitor_id": "xxx", "n***": " ***", "visits": "9"}, 0),
        ("Roe, 4930127", "email,visits", {"email": "R***", "visits": " 9999999"}, 0),
        (",,", "visitor_id,email,visits", {"visitor_id": "", "email": "***", "visits": ""}, 0),
        ('v1,"Roe, ""J""",x', "visitor_id,email,note",
         {"visitor_id": "x9", "email": "R***", "n***": "x***"}, 0),
        ("jane@x.io,x", "visitor_id,email,visits", {}, 11),
        ('v1,"jane@x.io,x', "visitor_id,email,visits", {}, 15),
        ("v2,joe@x.io,x", "v1,jane@x.io,x", {}, 13),
        ("v1,x", "visitor_id,jane@x.io", {"visitor_id": "x9", "j***": "x***"}, 0),
        # Landing has let the file go.
        ("v1,jane@x.io,x", "", {}, 14),
    ],
)  # fmt: skip
def test_a_record_shows_what_its_header_allows(
    tmp_path: Path, content: str, header: str, values: dict[str, str], rest: int
) -> None:
    found = shown(tmp_path, "csv", content, header)
    assert (found.values, found.hidden_characters) == (values, rest)
