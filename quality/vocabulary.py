"""The words a check file may use: Soda's, less what fails open, and a few of ours."""

from __future__ import annotations

from collections.abc import Mapping

from quality.thresholds import MORE_THAN_ZERO, ZERO, Comparison, Threshold

DEFAULT_WINDOW_DAYS = 28
PLATFORM_COLUMNS = ("_extra", "_batch_id", "_source_file", "_row_number", "_loaded_at")
VARIABLES = ("var.AS_OF",)
RAW_VARIABLES = (*VARIABLES, "var.AFTER_BATCH")

FORMAT_KEYS = ("regex", "name")
REFERENCE_KEYS = ("dataset", "column")
FUNCTIONS = ("avg", "sum", "min", "max", "minLength", "maxLength", "avgLength")
VALIDITY = (
    "valid_values",
    "valid_format",
    "valid_min",
    "valid_max",
    "valid_length",
    "valid_min_length",
    "valid_max_length",
    "valid_reference_data",
    "invalid_values",
    "invalid_format",
)
LISTS = ("valid_values", "invalid_values", "missing_values")
MEASURES = ("missing", "distinct", "avg", "median", "p05", "p95", "p99")
"""What can be measured of a column, day by day; `shares` only where the days are in the data."""
DAILY_MEASURES = (*MEASURES, "shares")
REVEALING = ("min", "max", "median", "p05", "p95", "p99", "shares")
"""Functions and measures whose value can be that of one person."""
COMPARED_WITH = ("previous", "last_values", "same_weekday")
ARRIVAL = "arrival"
"""In place of a day column: the day on which a source's files were received."""
TOLERANCE_KEYS = ("absolute", "percent")
OBSERVE_KEYS = ("until", "because")
ON_EVERY_CHECK = ("name", "threshold", "observe_only")
FORMATS = ("valid_format", "invalid_format", "missing_format")
DATASET_CHECKS: Mapping[str, tuple[str, ...]] = {
    "row_count": ("filter",),
    "duplicate": ("columns", "filter"),
    "failed_rows": ("expression", "query"),
    "metric": ("expression", "query"),
    "quarantined": (),
    "reconciliation": (
        "with",
        "expression",
        "with_expression",
        "by",
        "filter",
        "with_filter",
        "tolerance",
    ),
    "change_over_time": ("expression", "filter", "compared_with", "values"),
    "anomaly": ("expression", "filter", "by_day", "days", "at_least_rows", "tolerance"),
}
COLUMN_CHECKS: Mapping[str, tuple[str, ...]] = {
    "missing": ("missing_values", "missing_format", "filter"),
    "invalid": (*VALIDITY, "filter"),
    "aggregate": ("function", "filter"),
    "duplicate": ("filter",),
    "change_over_time": ("measure", "filter", "compared_with", "values"),
    "anomaly": ("measure", "filter", "by_day", "days", "at_least_rows", "tolerance"),
}
DEFAULTS: Mapping[str, Threshold] = {
    "row_count": MORE_THAN_ZERO,
    "duplicate": ZERO,
    "failed_rows": ZERO,
    "quarantined": ZERO,
    "missing": ZERO,
    "invalid": ZERO,
    "reconciliation": ZERO,
    # In spreads (robust standard deviations). Fewer alarms are false the higher it is.
    "anomaly": Threshold(Comparison("must_be_less_than_or_equal", 6)),
}
SHARES_DEFAULT = Threshold(Comparison("must_be_less_than_or_equal", 15))
"""In percentage points: how far a category's share may be from its usual one."""
PERCENT_ALLOWED = (
    "duplicate",
    "failed_rows",
    "quarantined",
    "missing",
    "invalid",
    "change_over_time",
)
OURS = ("quarantined", "reconciliation", "change_over_time", "anomaly")
