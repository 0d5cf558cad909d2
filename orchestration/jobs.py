"""The three jobs of a run, in their order, by name."""

BUILD = "build"
REPORT = "report"
PUBLISH = "publish_open_tables"
