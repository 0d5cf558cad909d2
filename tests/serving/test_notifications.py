"""Telling people: what, whom, over which channel, and each thing once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from incident_company import REASON, Company, ago, closed, company, payments
from receivers import Hook, Mailbox, mail_server, webhook

from cli.doctor import CHECKS
from serving.notifications import notify
from warehouse.errors import SluiceError
from warehouse.settings import PROJECT_ROOT

__all__ = ["company"]

CHAT = """
channels:
  - name: chat
    webhook: {url_env: SLUICE_TEST_HOOK, timeout_seconds: 60}
    pause_seconds: 0.01
routes:
  - channels: chat
"""
FINANCE_AND_ALL = """
docs_url: https://handbook.example/sluice/
channels:
  - name: finance-chat
    webhook: {url_env: SLUICE_TEST_HOOK}
    pause_seconds: 0.01
  - name: everything
    file: {path: told.txt}
routes:
  - owner: [finance, billing]
    tier: 1
    layer: [raw, marts]
    kind: check_failed
    transitions: [opened, acknowledged, closed]
    channels: finance-chat
  - channels: [everything]
"""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with webhook() as hook:
        monkeypatch.setenv("SLUICE_TEST_HOOK", hook.url)
        yield hook


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as box:
        yield box


def test_without_a_file_of_routes_messages_are_text_in_the_data_folder(company: Company) -> None:
    company.publish(payments())
    company.publish(payments(), stale=("finance_revenue",))
    assert "✓ told file: incident 3fa85f64 opened" in company("notify").stdout
    text = (company.settings.data_dir / "notifications.txt").read_text()
    for told in (
        f"✗ [tier 1] raw.billing.payments is closed: {REASON}",
        "where      raw.billing.payments (layer raw, source billing)",
        "since      ",
        "affects    2 datasets: curated.fct_payments, marts.finance_revenue",
        "1 metric: collected_revenue",
        "consumers  read as it was at ",
        "owner      finance, tier 1",
        "runbook    docs/runbooks/check_failed.md",
        "more       sluice incident show 3fa85f64",
    ):
        assert told in text
    [event] = company.log("notifications")
    assert {key: event[key] for key in ("incident_id", "transition", "channel", "outcome")} == {
        "incident_id": "3fa85f64", "transition": "opened", "channel": "file", "outcome": "sent",
    }  # fmt: skip
    assert company.settings.as_of is None and event["attempts"] == 1


def test_each_state_change_is_told_once(company: Company, hook: Hook) -> None:
    company.write("notifications.yml", CHAT)
    company.publish(payments())
    for _ in range(2):
        company("notify")
    assert "Nothing is due" in company("notify").stdout
    company("ack", "3fa8", "--by", "Mira")  # this channel is not told who took it
    company("cause", "3fa8", "the provider sent cents")
    company("notify")
    company.publish(closed(payments(), hours=1))
    for _ in range(2):
        company("notify")
    opened, closing = hook.taken
    assert opened["text"].startswith("*✗ [tier 1] raw.billing.payments is closed: ")
    assert closing["text"].startswith("*✓ [tier 1] raw.billing.payments is open again after 1 h*")
    assert "(1 h)" in closing["text"] and "the provider sent cents" in closing["text"]
    assert "read all of it fresh again" in closing["text"]
    assert hook.keys == ["3fa85f64.opened", "3fa85f64.closed"]
    company.publish(payments("4b000000", is_recurrence=True, recurrence_of="3fa85f64"))
    company("notify")
    assert "is closed again: " in hook.subjects[2] and "3fa85f64 was the same" in str(hook.taken[2])


def test_many_checks_and_datasets_of_one_incident_are_one_message(
    company: Company, hook: Hook
) -> None:
    company.write("notifications.yml", CHAT)
    names = ", ".join(f"marts.table_{number}" for number in range(30))
    company.publish(
        payments(
            affected_datasets=names,
            affected_dataset_count=30,
            explained_closing_count=12,
            reason="a: 1, must be 0; b: 2, must be 0; c <&> d",
        )
    )
    company("notify")
    [message] = hook.taken
    assert "table_7 and 22 more" in message["text"] and "table_8" not in message["text"]
    assert "c &lt;&amp;&gt; d" in message["text"]


def test_routes_choose_channels_by_owner_tier_layer_and_kind(company: Company, hook: Hook) -> None:
    company.write("notifications.yml", FINANCE_AND_ALL)
    others = [
        payments("00000001", owner="growth"),
        payments("00000002", tier=2),
        payments("00000003", layer="staging"),
        payments("00000004", kind="freshness"),
    ]
    company.publish(payments(), *others)
    company("notify")
    company("ack", "3fa8", "--by", "Mira")
    told = company.json("notify")
    assert [each["transition"] for each in told["sent"]] == ["acknowledged"]
    assert hook.keys == ["3fa85f64.opened", "3fa85f64.acknowledged"]
    assert "https://handbook.example/sluice/docs/runbooks/check_failed.md" in str(hook.taken[0])
    text = (company.settings.data_dir / "told.txt").read_text()
    assert text.count(".opened]") == 5 and text.count("acknowledged") == 0


def test_an_incident_that_no_route_fits_is_said_to_reach_nobody(company: Company) -> None:
    routes = FINANCE_AND_ALL.replace("  - channels: [everything]\n", "")
    company.write("notifications.yml", routes)
    company.publish(payments(owner="growth"))
    assert "✗ no route of notifications.yml fits incident 3fa85f64" in company("notify").stdout


@pytest.mark.parametrize(
    ("answers", "attempts"), [([500, 503], 3), (["silence", 429], 3), (["hang up"], 2)]
)
def test_a_webhook_in_passing_trouble_is_tried_again(
    company: Company, hook: Hook, answers: list[int | str], attempts: int
) -> None:
    # Where it is silent we are the ones to give up; where it answers, it may take its time.
    patience = "2" if "silence" in answers else "60"
    company.write("notifications.yml", CHAT.replace("seconds: 60", f"seconds: {patience}"))
    company.publish(payments())
    hook.answers = answers
    company("notify")
    assert hook.asked == attempts and len(hook.taken) == 1
    [event] = company.log("notifications")
    assert (event["outcome"], event["attempts"]) == ("sent", attempts)


def test_a_message_that_failed_is_due_again_at_the_next_run(company: Company, hook: Hook) -> None:
    company.write("notifications.yml", CHAT)
    company.publish(payments(), payments("00000001", opened_at=ago(hours=1)))
    hook.answers = [500] * 3
    done = company("notify", code=1)
    assert "✗ chat was not told of incident 3fa85f64 opened: it answered 500 (3 attempts)" in (
        done.stdout
    )
    # A dead channel is not tried once for each message.
    assert "✗ chat waits for the next run: incident 00000001 opened" in done.stdout
    assert hook.asked == 3
    told = company.json("notify")
    assert [each["incident_id"] for each in told["sent"]] == ["3fa85f64", "00000001"]
    assert [each["outcome"] for each in company.log("notifications")] == ["failed", "sent", "sent"]


def test_what_another_try_cannot_mend_is_tried_once(company: Company, hook: Hook) -> None:
    company.write("notifications.yml", CHAT)
    company.publish(payments())
    hook.answers = [404]
    assert "it answered 404 (1 attempt)" in company("notify", code=1).stdout
    company("notify")
    assert len(hook.taken) == 1


def test_a_secret_stands_in_the_environment_and_in_no_message(
    company: Company, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.write("notifications.yml", CHAT)
    company.publish(payments())
    monkeypatch.setenv("SLUICE_TEST_HOOK", hook.url.replace("http", "file", 1))
    told = company("notify", code=1).stdout
    monkeypatch.setenv("SLUICE_TEST_HOOK", "http://127.0.0.1:1/secret-token")
    told += company("notify", code=1).stdout
    monkeypatch.delenv("SLUICE_TEST_HOOK")
    told += company("notify", code=1).stdout
    assert "holds no http(s) address" in told and "refused" in told
    assert "the environment variable SLUICE_TEST_HOOK is not set" in told
    assert "secret-token" not in told + str(company.log("notifications"))


def test_the_doctor_names_a_secret_that_is_not_set(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.write("notifications.yml", CHAT)
    for value, finding in (("", (False, "not set: SLUICE_TEST_HOOK (channel chat)")),
                           ("http://127.0.0.1:1/", (True, "to chat"))):  # fmt: skip
        monkeypatch.setenv("SLUICE_TEST_HOOK", value)
        found = dict(CHECKS)["notifications"]("notifications")
        assert (found.is_good, found.text) == finding


def test_a_letter_reaches_everybody_named(company: Company, mailbox: Mailbox) -> None:
    company.write(
        "notifications.yml",
        f"""
channels:
  - name: mail
    email:
      host: 127.0.0.1
      port: {mailbox.port}
      security: none
      from: sluice@company.example
      to: [mira@company.example, ben@company.example]
    pause_seconds: 0.01
routes:
  - channels: mail
""",
    )
    mailbox.refuses = ["MAIL", "DATA"]
    company.publish(payments(reason="zu hoch: 3 €, müssen"))
    company("notify")
    [letter] = mailbox.letters
    assert mailbox.receivers == [["mira@company.example", "ben@company.example"]]
    assert letter["Message-ID"] == "<3fa85f64.opened@sluice>"
    body = letter.get_payload(decode=True)
    assert isinstance(body, bytes) and "what       zu hoch: 3 €, müssen" in body.decode()
    [event] = company.log("notifications")
    assert (event["outcome"], event["attempts"]) == ("sent", 3)


def test_history_is_not_told_to_a_new_channel_but_a_short_incident_is(
    company: Company, hook: Hook
) -> None:
    company.publish(
        closed(payments("0a11aaaa", opened_at=ago(days=9)), hours=3),
        closed(payments("0b22bbbb"), minutes=4),
    )
    company.write("notifications.yml", CHAT)
    company("notify")
    assert hook.keys == ["0b22bbbb.closed"]


def test_a_closing_is_told_to_whoever_was_told_of_the_opening_however_late(
    company: Company, hook: Hook
) -> None:
    company.write("notifications.yml", CHAT)
    company.publish(payments(opened_at=ago(days=9)))
    company("notify")
    company.publish(closed(payments(opened_at=ago(days=9)), days=2))
    company("notify")
    assert hook.keys == ["3fa85f64.opened", "3fa85f64.closed"]


def test_a_trial_message_goes_to_every_channel_and_settles_nothing(
    company: Company, hook: Hook
) -> None:
    company.write("notifications.yml", FINANCE_AND_ALL)
    for _ in range(2):
        company("notify", "--test")
    assert len(hook.taken) == 2 and "nothing is wrong" in hook.subjects[0]
    text = (company.settings.data_dir / "told.txt").read_text()
    assert text.count("A trial message of Sluice to the channel everything") == 2
    company.publish(payments())
    company("notify")
    assert hook.keys[2:] == ["3fa85f64.opened"]


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_process_killed_while_it_tells_leaves_one_message_in_the_file(
    company: Company, at: str
) -> None:
    """Killed before it wrote, or after it wrote and before it noted so."""
    company.publish(payments())
    killed = f"""
        import os, signal
        from serving import notifications
        from warehouse import platform_log
        from warehouse.settings import Settings
        def die(*_):
            os.kill(os.getpid(), signal.SIGKILL)
        place = notifications if {at == "before"!r} else platform_log
        setattr(place, "_send" if {at == "before"!r} else "append", die)
        notifications.notify(Settings())
    """
    environment = dict(os.environ) | {"SLUICE_DATA_DIR": str(company.settings.data_dir)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(killed)], cwd=PROJECT_ROOT, env=environment
    )
    assert done.returncode == -signal.SIGKILL
    assert company.log("notifications") == []
    for _ in range(2):
        notify(company.settings)
    text = (company.settings.data_dir / "notifications.txt").read_text()
    assert text.count("[3fa85f64.opened]") == 1
    assert [each["outcome"] for each in company.log("notifications")] == ["sent"]


def test_two_processes_at_once_tell_everything_once(company: Company, hook: Hook) -> None:
    company.write("notifications.yml", CHAT)
    company.publish(*(payments(f"0000000{n}") for n in range(5)))
    code = "from serving.notifications import notify; from warehouse.settings import settings;"
    command = [sys.executable, "-c", f"{code} notify(settings())"]
    running = [subprocess.Popen(command, cwd=PROJECT_ROOT) for _ in range(3)]
    assert [each.wait() for each in running] == [0, 0, 0]
    assert sorted(hook.keys) == [f"0000000{n}.opened" for n in range(5)]


GOOD = CHAT
WRONG = {
    "": "is empty: nobody would be told anything",
    "channels: [": "is not YAML",
    "routes:\n  - channels: chat\n": ":1: the file needs `channels`",
    GOOD.replace("webhook", "webhok"): ":4: `webhok` is not a key of a channel; did you mean `web",
    GOOD.replace("url_env", "url"): ":4: `url` is not a key of `webhook`; did you mean `url_env`",
    GOOD.replace("SLUICE_TEST_HOOK", "https://hooks.example/T0/x"): "the secret itself never",
    GOOD.replace("channels: chat", "channels: chatt"): ":7: `chatt` is not a channel of this file; "
    "did you mean `chat`",
    GOOD.replace("- channels: chat", "- ownr: finance\n    channels: chat"): ":7: `ownr` is not a "
    "key of a route; did you mean `owner`",
    GOOD.replace("- channels: chat", "- kind: fresh\n    channels: chat"): ":7: `fresh` is not a "
    "kind; did you mean `freshness`",
    GOOD.replace("- channels: chat", "- tier: 4\n    channels: chat"): ":7: `4` is not a tier",
    GOOD.replace("- channels: chat", "- owner: finance"): ":7: a route needs its `channels`",
    GOOD.replace("pause_seconds: 0.01", "attempts: 0"): ":5: `attempts` must be 1 to 10",
    GOOD.replace("routes:", "  - name: chat\n    file: {path: a}\nroutes:"): "stands here twice",
    GOOD.replace("webhook: {url", "email: {host: a}\n    webhook: {url"): "needs exactly one of",
    GOOD.replace("webhook: {url_env: SLUICE_TEST_HOOK, timeout_seconds: 60}", "email: {host: a}"):
    ":4: `email` needs `from`",
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG, ids=lambda text: WRONG[text][:40])
def test_a_file_of_routes_is_held_strictly_with_its_line_and_the_nearest_word(
    company: Company, text: str
) -> None:
    path = company.write("notifications.yml", text)
    with pytest.raises(SluiceError) as caught:
        notify(company.settings)
    assert str(path) in caught.value.what and WRONG[text] in caught.value.what
    assert "docs/on_call.md" in caught.value.remedy or "Correct the line" in caught.value.remedy


def test_a_setting_that_names_no_file_is_refused(
    company: Company, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLUICE_NOTIFICATIONS", str(tmp_path / "routes.yml"))
    error = company("notify", code=2).exception
    assert isinstance(error, SluiceError) and "routes.yml, which is not there" in error.what
    (tmp_path / "routes.yml").write_text(FINANCE_AND_ALL)
    assert "Nothing is due" in company("notify").stdout
