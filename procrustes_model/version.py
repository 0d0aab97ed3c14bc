"""The version of this program."""

__version__ = "0.1.0"


def how_to_install(extra: str) -> str:
    """Return the command that brings what an optional part needs; the package is on no index yet."""
    return f"pip install '.[{extra}]' in the checkout"
