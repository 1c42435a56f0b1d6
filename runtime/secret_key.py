"""The installation's secret key, which is made once and never silently again."""

from __future__ import annotations

from backend.errors import BackendError, Fault
from backend.secrets import SecretBox, load_or_create_key
from runtime import preflight
from runtime.settings import Settings


def secret_box(settings: Settings) -> SecretBox:
    """Return what locks and unlocks with the installation's key; raises BackendError for a damaged or missing one."""
    if words := preflight.key_fault(settings):
        raise BackendError(Fault("secret.key_missing", words))
    configured = settings.secret_key.get_secret_value() if settings.secret_key else None
    return SecretBox(load_or_create_key(settings.data_dir, configured))
