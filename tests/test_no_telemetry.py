"""Nothing we run reports home."""

from __future__ import annotations

from platform_under_test import Demo

LOOPBACK = ("127.0.0.1", "::1", "localhost", "'/", "b'/")


def test_no_process_of_the_demo_opens_a_connection_beyond_loopback(demo: Demo) -> None:
    beyond = [line for line in demo.connections if not any(each in line for each in LOOPBACK)]
    assert beyond == []
