"""What a producer has: a file held against a contract, and the contract in the open standard."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result
from dock import Dock, json_lines, order
from jsonschema import Draft201909Validator
from open_data_contract_standard.model import OpenDataContractStandard

from cli.contract import contract
from ingestion.contracting.odcs import exported
from ingestion.contracting.odcs_import import proposed
from ingestion.contracting.promises import by_source, promises_of, read_promises
from ingestion.contracting.proving import contract_for, prove
from ingestion.retention.policy import KEEPS_ALL
from warehouse.errors import ContractError
from warehouse.settings import PROJECT_ROOT

RAW = PROJECT_ROOT / "dbt_project" / "models" / "raw"
SCHEMA = json.loads(resources.read_text("open_data_contract_standard", "schema.json"))
LINES = json_lines(
    order("o1"),
    order("o2", amount="12.345"),
    order("o3", coupon=1),
    '{"order_id": "o4", "amou',
    order(""),
    {"order_id": "o5", "amount": "1"},
)
ROWS = b'visitor_id,company_name,visits\nv1,Acme,1\n,Acme,2\nv3,"Ac\nme",x\nv4,Acme\n'


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    rows = {"item_id": ["a", None], "price": ["1.50", "2"], "shelf": [1, 2]}
    pq.write_table(pa.table(rows), sink)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("entity", "name", "content"),
    [
        ("orders", "orders.jsonl", LINES),
        ("orders", "orders.jsonl.gz", gzip.compress(LINES)),
        ("visitors", "visitors.csv", ROWS),
        ("stock", "stock.parquet", parquet()),
        ("orders", "orders.jsonl", json_lines({"order_id": "o1"})),
        ("visitors", "visitors.csv", b"visitor_id\nv1\n"),
        ("stock", "stock.parquet", b"PAR1"),
        ("visitors", "visitors.txt", b"visitor_id,visits\nv1,1\n"),
        ("orders", "orders.jsonl", b""),
    ],
)
def test_a_file_is_judged_as_the_loader_judges_it(
    dock: Dock, entity: str, name: str, content: bytes
) -> None:
    dock.land(f"shop/{entity}/2025-03-01/{name}", content)
    sent = dock.settings.data_dir / name
    sent.write_bytes(content)
    contracts = dock.settings.dbt_project_dir / "models" / "raw" / "contracts.yml"
    proof = prove(sent, contract_for(sent, contracts, f"shop.{entity}"))
    result = dock.load()
    assert [proof.refused] == ([each.reason for each in result.refused] or [""])
    loaded = result.entities.get(entity)
    assert (proof.rows, proof.quarantined) == (
        (loaded.rows, loaded.quarantined) if loaded else (0, 0)
    )
    assert proof.is_good is (result.refused == () and result.quarantined == 0)
    assert [(r.row, r.column, r.reason, r.content) for r in proof.bad_rows] == [
        (row, column, reason, content or "")
        for _, row, column, reason, content in dock.quarantine()
    ]
    if loaded:
        assert {*proof.unknown, *dict(proof.renamed)} == set(loaded.drift)


def test_a_producer_needs_one_file_one_contract_and_one_command(tmp_path: Path) -> None:
    """No settings, no data folder, no project; neither dbt nor Dagster is so much as imported."""
    (tmp_path / "shop.yml").write_text(
        "sources: [{name: shop, tables: [{name: leads, config: {meta: {format: csv}}, columns: ["
        "{name: lead_id, data_type: varchar, config: {meta: {required: true}}},"
        "{name: score, data_type: bigint}]}]}]"
    )
    (tmp_path / "leads_1.csv").write_text("lead_id,score,shoe\nl1,1,9\nl2,high,9\n")
    program = (
        "import atexit, sys; from cli.main import main; heavy = {'dbt', 'dagster', 'soda_core'};"
        "atexit.register(lambda: print(sorted(heavy & set(sys.modules))));"
        f"sys.argv[1:] = {['contract', 'test', 'leads_1.csv', '--contract', 'shop.yml']!r}; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT_ROOT),
             "SLUICE_DATA_DIR": str(tmp_path / "data")},
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "1 good row, 1 would be quarantined" in done.stdout
    assert "score is not a bigint" in done.stdout and "l2,high,9" in done.stdout
    assert "shoe in no contract" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert "leads_1.csv breaks the contract of shop.leads" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["leads_1.csv", "shop.yml"]


def test_a_file_that_might_be_for_several_tables_asks_which(dock: Dock) -> None:
    contracts = dock.settings.dbt_project_dir / "models" / "raw" / "contracts.yml"
    assert contract_for(Path("stock_7.parquet"), contracts, None).entity == "stock"
    with pytest.raises(ContractError, match=r"Which table .* seven.csv") as caught:
        contract_for(Path("seven.csv"), contracts, None)
    assert "shop.visitors" in str(caught.value)
    for text in ("sources: shop", "sources: [{name: shop, tables: [leads]}]", "a: [", "é"):
        contracts.write_bytes(text.encode("latin-1"))
        with pytest.raises(ContractError):
            contract_for(Path("seven.csv"), contracts, None)
    with pytest.raises(ContractError, match="There is no contract nowhere"):
        contract_for(Path("seven.csv"), Path("nowhere.yml"), None)


def test_what_an_unknown_column_does_is_said_by_source_and_by_table(dock: Dock) -> None:
    """A table's word counts more than its source's; what neither says is evolve."""
    dock.change_contract(
        "    schema: raw_shop\n",
        "    schema: raw_shop\n    config: {meta: {on_drift: quarantine}}\n",
    )
    dock.change_contract("format: csv, key", "format: csv, on_drift: evolve, key")
    dock.land_orders("a", order("o1"), order("o2", coupon=1))
    dock.land("shop/visitors/2025-03-01/a.csv", b"visitor_id,visits,shoe\nv1,1,9\n")
    result = dock.load()
    assert {name: (each.rows, each.quarantined) for name, each in result.entities.items()} == {
        "orders": (1, 1),
        "visitors": (1, 0),
    }
    assert dock.column("select _extra::varchar from raw_shop.visitors") == ['{"shoe":"9"}']
    dock.change_contract("on_drift: evolve, key", "on_drift: freeze, key")
    dock.land("shop/visitors/2025-03-02/b.csv", b"visitor_id,visits,shoe\nv2,1,9\n")
    [refusal] = dock.load().refused
    assert "shoe" in refusal.reason and "freeze" in refusal.reason


OURS = by_source(read_promises(RAW))


@pytest.mark.parametrize("source", sorted(OURS))
def test_every_contract_survives_the_way_out_and_back(source: str) -> None:
    ours = OURS[source]
    text = exported(ours)
    OpenDataContractStandard(**yaml.load(text, yaml.CSafeLoader))
    assert list(Draft201909Validator(SCHEMA).iter_errors(yaml.load(text, yaml.CSafeLoader))) == []
    proposal = proposed(text, f"{source}.odcs.yml")
    assert proposal.notes == []
    # How long we keep what came is no word of the producer's.
    sent = [replace(each, contract=replace(each.contract, retention=KEEPS_ALL)) for each in ours]
    assert list(by_source(promises_of({f"{source}.yml": proposal.text}))[source]) == sent


def test_everything_that_a_contract_can_say_survives_too() -> None:
    said = """
sources:
  - name: shop
    description: "What the shop sends:\\n all of it."
    config: {meta: {owner: sales, tier: 1, classification: confidential}}
    tables:
      - name: orders
        config:
          meta: {format: csv, key: [day, id], on_drift: freeze, delimiter: ";", change_log: true,
                 max_line_bytes: 99, classification: personal,
                 service_level: {freshness_hours: 1.5}}
        columns:
          - {name: id, data_type: integer, config: {meta: {required: true, aliases: [nr, No]}}}
          - {name: day, data_type: date, config: {meta: {classification: public}}}
          - {name: body, data_type: json, config: {meta: {fields: {ip: internal}}}}
          - {name: "on", data_type: boolean, config: {meta: {deprecated_on: 2026-12-31}}}
          - {name: price, data_type: "decimal(9,3)", description: "no: `yes`, 'maybe' # {{ x }}"}
"""
    ours = promises_of({"shop.yml": said})
    text = exported(list(ours.values()))
    assert list(Draft201909Validator(SCHEMA).iter_errors(yaml.load(text, yaml.CSafeLoader))) == []
    assert promises_of({"shop.yml": proposed(text, "shop").text}) == ours
    other = exported(list(promises_of({"shop.yml": said.replace("tier: 1", "tier: 2")}).values()))
    assert yaml.safe_load(other)["version"] != yaml.load(text, yaml.CSafeLoader)["version"]


FOREIGN = """
apiVersion: v3.0.2
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
name: Seller Payments
version: 1.1.0
status: active
team: [{username: ada, role: Owner}]
servers: [{server: prod, type: s3, format: csv, delimiter: "|", location: "s3://bucket/*"}]
schema:
  - name: PaymentLines
    physicalName: tbl_1
    description: Every line of a payment.
    quality: [{type: library, metric: rowCount, mustBeGreaterThan: 10}]
    properties:
      - {name: txnId, physicalName: txn_id, primaryKey: true, primaryKeyPosition: 1,
         logicalType: string, required: true, classification: restricted}
      - {name: "Amount in €", logicalType: number, physicalType: "numeric(12, 2)"}
      - {name: 2ndRate, logicalType: number}
      - {name: tags, logicalType: array, items: {logicalType: string}}
      - {name: paid_at, logicalType: date, physicalType: timestamp_ntz}
slaProperties:
  - {property: latency, value: 2, unit: d, element: PaymentLines.paid_at}
"""


def test_a_document_from_elsewhere_becomes_a_source_in_our_words() -> None:
    proposal = proposed(FOREIGN, "payments.yml")
    assert proposal.source == "seller_payments"
    [promise] = promises_of({"x.yml": proposal.text}).values()
    contract = promise.contract
    assert (contract.name, contract.format, contract.delimiter, contract.key) == (
        "seller_payments.payment_lines", "csv", "|", ("txn_id",),
    )  # fmt: skip
    assert [(c.name, c.data_type, c.is_required, c.aliases) for c in contract.columns] == [
        ("txn_id", "varchar", True, ("txnId",)),
        ("amount_in", "decimal(12,2)", False, ("Amount in €",)),
        ("c_2nd_rate", "decimal(38,9)", False, ("2ndRate",)),
        ("tags", "json", False, ()),
        ("paid_at", "date", False, ()),
    ]
    assert (promise.freshness_hours, promise.owner) == (48, "ada")
    told = "\n".join(proposal.notes)
    assert promise.columns[0].classification == "personal"
    for word in (
        "`restricted`",
        "`servers`",
        "`quality` of payment_lines",
        "c_2nd_rate does not say",
    ):
        assert word in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not valid YAML"),
        ("kind: DataContract\napiVersion: v2.2.0", "of version 3"),
        (FOREIGN[: FOREIGN.index("schema:")], "describes no table"),
        ("- 1", "of version 3"),
        (FOREIGN.replace("value: 2,", "value: soon,"), "not shaped as the standard says"),
        (FOREIGN[: FOREIGN.index("schema:")] + "schema: [rows]", "not shaped as the standard"),
        (FOREIGN.replace("name: Seller Payments", 'name: "€"'), "has neither a name nor an id"),
        (FOREIGN.replace("2ndRate", "txn_id"), "stands twice"),
    ],
)
def test_a_document_that_cannot_be_used_says_why(text: str, words: str) -> None:
    with pytest.raises(ContractError, match=words):
        proposed(text, "theirs.yml")


def test_the_proposal_is_written_in_the_style_of_the_others() -> None:
    from yamllint import linter
    from yamllint.config import YamlLintConfig

    style = YamlLintConfig(file=str(PROJECT_ROOT / ".yamllint"))
    for source in ("events", "crm"):
        text = proposed(exported(OURS[source]), source).text
        assert list(linter.run(text, style)) == []


def test_the_commands_print_a_contract_and_write_one_that_is_new(
    dock: Dock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.contract.settings", lambda: dock.settings)

    def ask(*words: str) -> Result:
        return CliRunner().invoke(contract, words)

    out = ask("export", "press")
    assert OpenDataContractStandard.from_string(out.stdout).name == "press"
    assert len(list(yaml.safe_load_all(ask("export").stdout))) == 2
    assert "There is one for press, shop" in str(ask("export", "pres").exception)
    theirs = tmp_path / "theirs.yml"
    theirs.write_text(FOREIGN)
    printed = ask("import", str(theirs))
    assert "Note: `servers` is left out" in printed.stderr
    assert ask("import", str(theirs), "--write").exit_code == 0
    written = dock.settings.dbt_project_dir / "models" / "raw" / "seller_payments.yml"
    assert written.read_text() == printed.stdout
    again = ask("import", str(theirs), "--write")
    assert "is there already" in str(again.exception)
    told = json.loads(ask("check", "--against", str(written), "--json").stdout)
    assert told == {"verdict": "compatible", "differences": [], "agreed": []}
