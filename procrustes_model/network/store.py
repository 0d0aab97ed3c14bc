"""Finished cases, in memory and in a folder from which an interrupted run goes on."""

from __future__ import annotations

import re
from pathlib import Path

from procrustes_model.errors import Issue, SpecError
from procrustes_model.files import check_writable, write_atomically
from procrustes_model.network.record import CaseRecord
from procrustes_model.network.schema import KEY_PATTERN
from procrustes_model.printable import cut

CASES = "cases"


class DamagedCaseError(ValueError):
    """The file of a case is not what a search wrote; says why.

    Parameters
    ----------
    reason : str
        What is not printable in it is replaced.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(cut(reason, 300))


class CaseStore:
    """Finished cases by key.

    Each is a file of its own, ``cases/KEY.json``, written in one step: whenever a run ends, what it had
    finished is there and whole. A file of a newer version is refused, as it would be written over.

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
        DamagedCaseError
            When its file is not what a search wrote.
        SpecError
            When its file is of a newer version, or cannot be read.
        """
        if key not in self._known and self.folder is not None:
            record = self._read(key)
            if record is not None:
                self._known[key] = record
        return self._known.get(key)

    def put(self, record: CaseRecord) -> CaseRecord:
        """Keep a case, and return it as a later run will read it.

        Raises
        ------
        OSError
            When its file cannot be written.
        """
        text = record.to_json()
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path(record.key), text)
        self._known[record.key] = CaseRecord.from_json(text)
        return self._known[record.key]

    def check(self, key: str) -> None:
        """Find out before a search whether its case can be kept.

        Raises
        ------
        OSError
            When its file cannot be written.
        """
        if self.folder is not None:
            check_writable(self.path(key))

    def path(self, key: str) -> Path:
        """Return the file of a case.

        Raises
        ------
        ValueError
            When there are no files, or this is no key.
        """
        if self.folder is None or not re.fullmatch(KEY_PATTERN, key):
            raise ValueError(f"'{key[:100]}' is no key of a case")
        return self.folder / f"{key}.json"

    def _read(self, key: str) -> CaseRecord | None:
        path = self.path(key)
        try:
            if not path.exists():
                return None
            if not path.is_file():  # reading a pipe would never end
                raise SpecError(Issue("the file of a case must be a file", "remove it", str(path)))
            record = CaseRecord.from_json(path.read_text(encoding="utf-8"), str(path))
        except SpecError:
            raise
        except OSError as error:
            raise SpecError(Issue(f"cannot be read: {error.strerror}", None, str(path))) from None
        except UnicodeError:
            raise DamagedCaseError("it is no text") from None
        except ValueError as error:
            raise DamagedCaseError(str(error)) from None
        if record.key != key:
            raise DamagedCaseError("it holds another case")
        return record
