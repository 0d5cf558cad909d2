"""Settings from one typed place: environment variables, `.env`, defaults that work."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from warehouse import secrets
from warehouse.errors import SettingsError

PROJECT_ROOT = Path(__file__).resolve().parent.parent
PREFIX = "SLUICE_"


class _Secrets(PydanticBaseSettingsSource):
    """What is a SecretStr comes from a variable, or from a file that only its owner may read."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = f"{PREFIX}{field_name.upper()}"
        is_ours = field.annotation is SecretStr
        # A setting that names the file itself knows better what to do with it.
        if not is_ours or f"{field_name}_file" in self.settings_cls.model_fields:
            return None, field_name, False
        return secrets.value(name) or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Every name is also an environment variable with the prefix `SLUICE_`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=PROJECT_ROOT / ".env",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    target: Literal["duckdb", "postgres"] = "duckdb"
    postgres: SecretStr = SecretStr("")
    production: SecretStr = SecretStr("")
    production_schema: str = "published"
    postgres_admin: SecretStr = SecretStr("")
    environment: Literal["dev", "ci", "prod"] = "dev"
    schema_prefix: str = ""
    data_dir: Path = PROJECT_ROOT / "data"
    landing: str = ""
    backups: str = ""
    dagster_home: Path = PROJECT_ROOT / ".dagster"
    as_of: datetime | None = None
    notifications: Path | None = None
    keep_snapshots: int = 5
    keep_days: int = 7
    dbt_threads: int = 1
    duckdb_memory_limit: str = ""
    lock_wait_seconds: float = 3600.0
    query_seconds: float = 300.0
    report: Literal["always", "needed", "never"] = "needed"
    error_budgets: str = ""
    policy: Path | None = None
    mask_key: SecretStr = SecretStr("")
    mask_key_file: Path | None = None

    @field_validator(
        "data_dir", "dagster_home", "notifications", "policy", "mask_key_file", mode="after"
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        if value is None or value.is_absolute():
            return value
        return (PROJECT_ROOT / value).resolve()

    @field_validator("schema_prefix")
    @classmethod
    def _a_prefix(cls, value: str) -> str:
        if value and not re.fullmatch(r"(?!pg_|raw_)[a-z][a-z0-9_]{0,22}_", value):
            raise ValueError("small letters, digits and _, such as ci_42_ (not pg_… or raw_…)")
        return value

    @model_validator(mode="after")
    def _own_home(self) -> Settings:
        if self.schema_prefix and "dagster_home" not in self.model_fields_set:
            # The settings are frozen for everybody but their maker.
            object.__setattr__(self, "dagster_home", self.own_dir / "dagster")
        return self

    @model_validator(mode="after")
    def _kept_secret(self) -> Settings:
        """Whoever gave them: no message may repeat them, nor the password of an address."""
        for name, field in type(self).model_fields.items():
            if field.annotation is SecretStr:
                secrets.remember(getattr(self, name).get_secret_value())
        for address in (self.landing, self.backups):
            if "@" in address:
                secrets.remember(address)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Secrets(settings_cls), env_settings, dotenv_settings

    @property
    def own_dir(self) -> Path:
        """The files of this environment, apart from those of others in the same data folder."""
        if not self.schema_prefix:
            return self.data_dir
        return self.data_dir / "environments" / self.schema_prefix.rstrip("_")

    @property
    def landing_url(self) -> str:
        """Any fsspec location; a folder beside the warehouse unless told otherwise."""
        return self.landing or str(self.own_dir / "landing")

    @property
    def backups_url(self) -> str:
        """Any fsspec location; it should not lie on the disk that it is to outlive."""
        return self.backups or str(self.own_dir / "backups")

    @property
    def books_dir(self) -> Path:
        """The simulator's own books: no model may read them."""
        return self.own_dir / "books"

    @property
    def notifications_path(self) -> Path:
        """Who is told what, and where; without the file, a file of text in the data folder."""
        return self.notifications or self.own_dir / "notifications.yml"

    @property
    def policy_path(self) -> Path:
        """Who may read what."""
        return self.policy or PROJECT_ROOT / "catalog" / "policy.yml"

    @property
    def mask_key_path(self) -> Path:
        """The key of masks, where no variable gives it."""
        return self.mask_key_file or self.own_dir / "secrets" / "mask.key"

    @property
    def workshop_path(self) -> Path:
        return self.own_dir / "warehouse" / "workshop.duckdb"

    @property
    def writer_lock_path(self) -> Path:
        return self.own_dir / "warehouse" / "writer.lock"

    @property
    def published_dir(self) -> Path:
        return self.own_dir / "published"

    @property
    def published_path(self) -> Path:
        """The pointer that consumers open: always one whole snapshot."""
        return self.published_dir / "current.duckdb"

    @property
    def dbt_project_dir(self) -> Path:
        return PROJECT_ROOT / "dbt_project"

    @property
    def dbt_target_path(self) -> Path:
        name = "dbt" if self.target == "duckdb" else f"dbt-{self.target}"
        return self.own_dir / name

    @property
    def manifest_path(self) -> Path:
        return self.dbt_target_path / "manifest.json"


@cache
def settings() -> Settings:
    """The process's settings (tests clear this cache after changing the environment)."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "SLUICE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(
            secrets.redacted(f"{name} cannot be used: {first['msg']} (it is {first['input']!r})."),
            remedy="Correct it in the environment or in .env; docs/engineers.md lists all of them.",
        ) from None
