"""The words a check file may use: Soda's, less what fails open, and a few of ours."""

from __future__ import annotations

from collections.abc import Mapping

from quality.thresholds import MORE_THAN_ZERO, ZERO, Threshold

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
FORMATS = ("valid_format", "invalid_format", "missing_format")
DATASET_CHECKS: Mapping[str, tuple[str, ...]] = {
    "row_count": ("filter",),
    "duplicate": ("columns", "filter"),
    "failed_rows": ("expression", "query"),
    "metric": ("expression", "query"),
    "quarantined": (),
}
COLUMN_CHECKS: Mapping[str, tuple[str, ...]] = {
    "missing": ("missing_values", "missing_format", "filter"),
    "invalid": (*VALIDITY, "filter"),
    "aggregate": ("function", "filter"),
    "duplicate": ("filter",),
}
DEFAULTS: Mapping[str, Threshold] = {
    "row_count": MORE_THAN_ZERO,
    "duplicate": ZERO,
    "failed_rows": ZERO,
    "quarantined": ZERO,
    "missing": ZERO,
    "invalid": ZERO,
}
PERCENT_ALLOWED = ("duplicate", "failed_rows", "quarantined", "missing", "invalid")
OURS = ("quarantined",)
