"""Which Pulsewire this is."""

from importlib import metadata


def version() -> str:
    """Return the installed version, or “0” in a clone that was not installed."""
    try:
        return metadata.version("pulsewire")
    except metadata.PackageNotFoundError:
        return "0"
