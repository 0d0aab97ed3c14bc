"""Finished cases, in memory and in a folder from which an interrupted run goes on."""

from __future__ import annotations

import re
from pathlib import Path

from procrustes_model.errors import SpecError
from procrustes_model.files import write_atomically
from procrustes_model.network.record import CaseRecord

_KEY = re.compile(r"[0-9a-f]{16,64}")
CASES = "cases"


class CaseStore:
    """Finished cases by key.

    Each is a file of its own, ``cases/KEY.json``, written in one step: whenever a run ends, what it had
    finished is there and whole. A file that cannot be read counts as not there; one of a newer version is
    refused, as it would be written over.

    Parameters
    ----------
    folder : Path or None
        None: in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = None if folder is None else Path(folder) / CASES
        self._known: dict[str, CaseRecord] = {}

    def get(self, key: str) -> CaseRecord | None:
        """Return the case of this key, if it is there.

        Raises
        ------
        SpecError
            When its file is of a newer version.
        """
        if key not in self._known and self.folder is not None:
            record = self._read(key)
            if record is not None:
                self._known[key] = record
        return self._known.get(key)

    def put(self, record: CaseRecord) -> None:
        """Keep a case.

        Raises
        ------
        OSError
            When its file cannot be written.
        """
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self._path(record.key), record.to_json())
        self._known[record.key] = record

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key) or self.folder is None:
            raise ValueError(f"'{key[:100]}' is no key of a case")
        return self.folder / f"{key}.json"

    def _read(self, key: str) -> CaseRecord | None:
        path = self._path(key)
        try:
            record = CaseRecord.from_json(path.read_text(encoding="utf-8"), str(path))
        except SpecError:
            raise
        except (OSError, ValueError):
            return None
        return record if record.key == key else None
