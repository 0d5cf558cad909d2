"""Tables end where their text ends, and keep within a terminal."""

from __future__ import annotations

import pytest

from cli.output import say, say_below, say_table
from cli.status import shortly
from cli.tables import laid_out

WHY = "average payment: 647 660.97, must be less than 20 000"
TWO = (
    "gate raw.a.b is closed since 2026-11-21 05:53 UTC: too low; gate marts.c is pending: half done"
)


def test_no_line_ends_in_blanks_and_numbers_stand_at_the_right() -> None:
    rows = [("a", "1,204", ""), ("longer", "7", "because")]
    assert list(laid_out(("what", "rows", "why"), rows, right=["rows"])) == [
        "what     rows  why",
        "a       1,204",
        "longer      7  because",
    ]


def test_the_last_column_gives_way_and_goes_below_where_there_is_no_room() -> None:
    rows = [("raw.billing.payments", WHY)]
    assert list(laid_out(("gate", "because"), rows, width=66)) == [
        "gate                  because",
        "raw.billing.payments  average payment: 647 660.97, must be less",
        "                      than 20 000",
    ]
    assert list(laid_out(("gate", "because"), rows, width=50)) == [
        "gate",
        "    because",
        "raw.billing.payments",
        "    average payment: 647 660.97, must be less than",
        "    20 000",
    ]
    path = "data/dbt/compiled/sluice/models/marts/growth/growth_funnel_monthly.sql"
    assert f"    {path}" in laid_out(("gate", "because"), [("g", f"in {path}")], width=30)
    assert list(laid_out(("gate", "because"), rows))[1] == f"raw.billing.payments  {WHY}"


def test_lines_of_the_last_column_stay_lines() -> None:
    marked = "syntax error\nLINE 12: frm months\n         ^^^"
    assert list(laid_out(("check", "says"), [("dbt\nx", marked)])) == [
        "check  says",
        "dbt x  syntax error",
        "       LINE 12: frm months",
        "                ^^^",
    ]


def test_a_stale_table_names_its_gates_and_leaves_the_reason_to_their_list() -> None:
    assert shortly(TWO, {"raw.a.b"}, {"marts.c"}) == (
        "gate raw.a.b is closed since 2026-11-21 05:53 UTC: …; "
        "gate marts.c is pending: … (open now)"
    )
    keys = [f"raw.a.{each}" for each in "bcde"]
    delivery = "; ".join(TWO.split("; ")[0].replace("raw.a.b", key) for key in keys)
    assert shortly(delivery, keys, set()) == (
        "gates raw.a.b, raw.a.c and 2 more are closed since 2026-11-21 05:53 UTC: …"
    )
    older = "older than what it reads: raw.a.b (2026-11-21 05:53 UTC)"
    assert shortly(older, set(), set()) == older
    never = "gate marts.d is never: it was never evaluated"
    assert shortly(never, {"raw.a.b"}, {"marts.c"}) == never
    assert shortly("it " + "x" * 300, set(), set()).endswith("xx …")


def test_received_text_is_shown_as_it_came_and_steers_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    received = "[red]:smile: \x1b[2Ja\x9b1m\x07\rb\u202ec\td\u00e9\\"
    told = "[red]:smile: \\x1b[2Ja\\x9b1m\\x07\\rb\\u202ec"
    say(received)
    say_below(received)
    say_table([received, "why"], [(received, received)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert told in line and "d\u00e9\\" in line and line.isprintable()
        assert "\\\\" not in line
    say("one\r\ntwo\nthree")
    assert capsys.readouterr().out == "one\ntwo\nthree\n"
