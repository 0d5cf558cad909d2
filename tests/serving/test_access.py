"""Reading personal columns in clear: with a reason, and not without the platform's log."""

from __future__ import annotations

from pathlib import Path

import pytest
from people_shop import MASKED, PLANTED, build, settings_in

from serving.access import Reader, reader_of
from serving.published import run_sql
from warehouse import platform_log
from warehouse.errors import PublishError, SettingsError
from warehouse.publish import publish
from warehouse.settings import Settings

ASKED = "select email from people where person_id = 7"
ADA = Reader("ada", "the customer asked")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = settings_in(tmp_path_factory.mktemp("access"))
    build(made)
    publish(made, MASKED, "run-1")
    return made


def test_a_privileged_read_is_in_the_log_with_reader_reason_tables_and_snapshot(
    here: Settings,
) -> None:
    assert run_sql(here, ASKED).rows[0][0] != PLANTED
    assert platform_log.newest(here, "access") is None
    assert run_sql(here, ASKED, reader=ADA).rows == ((PLANTED,),)
    event = platform_log.newest(here, "access")
    assert event is not None
    told = {name: event[name] for name in ("event", "by", "because", "tables")}
    assert told == {
        "event": "privileged_read", "by": "ada", "because": "the customer asked",
        "tables": ["people"],
    }  # fmt: skip
    assert event["snapshot_id"] == here.published_path.readlink().stem
    assert PLANTED not in str(event)


def test_what_fails_is_logged_too_and_tables_without_masks_are_as_ever(here: Settings) -> None:
    with pytest.raises(Exception, match="nothing_is_called_so"):
        run_sql(here, "select nothing_is_called_so from visits", reader=ADA)
    event = platform_log.newest(here, "access")
    assert event is not None and event["tables"] == ["visits"]
    names = run_sql(here, "select table_name from published._snapshot order by 1", reader=ADA)
    assert names.rows == (("people",), ("visits",))


def test_without_a_reason_nobody_reads() -> None:
    for reason in (None, "", "  "):
        with pytest.raises(SettingsError, match="without a reason"):
            reader_of("ada", reason)


def test_what_cannot_be_logged_is_not_read(here: Settings, tmp_path: Path) -> None:
    blocked = Settings(**{**here.model_dump(), "landing": str(tmp_path / "landing")})
    (tmp_path / "landing" / "platform").mkdir(parents=True)
    (tmp_path / "landing" / "platform" / "access").write_text("no folder")
    with pytest.raises(PublishError, match="Nothing was read"):
        run_sql(blocked, ASKED, reader=ADA)
