"""What has to be right before anything is opened for writing; found out without changing a byte.

Uses the standard library only, so that ``pulsewire serve`` can ask before it starts any process.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from storage import soundness

if TYPE_CHECKING:
    from runtime.settings import Settings

KEY_FILE = "secret.key"  # NOTE: as in backend/secrets.py
USED = "SELECT 1 FROM setting WHERE key = 'installation'"  # NOTE: as in runtime/engine_rows.py


def fault(settings: Settings) -> str | None:
    """Return what keeps this installation from starting, with what to do about it; None when nothing does."""
    path = settings.database_file
    if path is None or not path.exists():
        return None
    return soundness.log_fault(path) or soundness.page_fault(path) or key_fault(settings)


def key_fault(settings: Settings) -> str | None:
    """Return what is wrong when the database was used with a secret key that is not there any more.

    A new one would be made otherwise, and nothing that is locked could be read again.
    """
    file, path = settings.data_dir / KEY_FILE, settings.database_file
    if settings.secret_key is not None or path is None or file.exists() or not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            is_used = connection.execute(USED).fetchone() is not None
    except sqlite3.Error:
        return None  # it was never set up, or whoever opens it says why it cannot be
    if not is_used:
        return None
    return (
        f"The secret key {file} is missing. Put it back from your copy. If it is lost, set PULSEWIRE_SECRET_KEY to a "
        "new one: stored passwords, kept mails and tokens under way cannot be read then."
    )
