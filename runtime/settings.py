"""Settings from the environment, all named ``PULSEWIRE_…``."""

from __future__ import annotations

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_serializer, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LEAST_MEMORY_MB = 256  # an engine that does nothing has 110


class Settings(BaseSettings):
    """What an installation can set; everything has a default that works on a laptop."""

    model_config = SettingsConfigDict(env_prefix="PULSEWIRE_", extra="ignore")

    data_dir: Path = Field(Path("data"), description="Where the database, the secret key and the lock live.")
    database_url: str | None = Field(None, description="Default: SQLite in the data directory.")
    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    base_url: str | None = Field(None, description="How people reach this server; default from host and port.")
    smtp_url: SecretStr | None = Field(None, description="smtp://user:password@host:587?tls=starttls&from=a@b.c")
    secret_key: SecretStr | None = Field(None, description="Made on first start and kept in the data directory.")
    workers: int = Field(1, ge=1, description="Engine processes; SQLite takes one.")
    worker_memory_mb: int = Field(2_048, ge=0, description="Memory the engine process may use, in MB; 0: no limit.")
    allow_hosts: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Comma-separated host or host:port exceptions to the outbound guard."
    )
    env_names: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Comma-separated environment variables that flows may read as $env.NAME."
    )
    trusted_proxies: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Comma-separated addresses or networks of proxies whose X-Forwarded-For is believed."
    )

    @field_validator("allow_hosts", "env_names", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return frozenset(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("workers")
    @classmethod
    def _is_one(cls, value: int) -> int:
        if value != 1:
            raise ValueError("this version keeps its data in SQLite, which takes one engine process; set it to 1")
        return value

    @field_validator("worker_memory_mb")
    @classmethod
    def _is_enough(cls, value: int) -> int:
        if 0 < value < LEAST_MEMORY_MB:
            raise ValueError(f"the engine needs {LEAST_MEMORY_MB} MB; 0 means no limit")
        return value

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("it must be an address such as https://flows.example.com")
        return value or None

    @field_validator("allow_hosts")
    @classmethod
    def _are_hosts(cls, value: frozenset[str]) -> frozenset[str]:
        if value:
            from runtime.addresses import OpenHosts  # here because most installations set none

            OpenHosts(value)
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: frozenset[str]) -> frozenset[str]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @field_serializer("database_url", when_used="json")
    def _without_password(self, value: str | None) -> str | None:
        return value and re.sub(r"(://[^/@]*?:)[^/@]*@", r"\1**********@", value)

    @property
    def database_file(self) -> Path | None:
        """The file of the database; None where the URL is no SQLite file."""
        path = self.url.partition("?")[0].removeprefix("sqlite:///")
        return Path(path).absolute() if path != self.url and path else None

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'pulsewire.db').resolve()}"

    @property
    def public_url(self) -> str:
        """The base of every link this server gives out, without a slash at the end."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return (self.base_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that flows may read."""
        return {name: os.environ[name] for name in self.env_names if name in os.environ}
