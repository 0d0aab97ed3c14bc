"""The folder of a run: what stands in it, and under which names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.files import write_atomically
from procrustes_model.network.result import RUN_FILE, NetworkResult
from procrustes_model.versions import with_version

if TYPE_CHECKING:
    from procrustes_model.network.result import Row


def write_run(result: NetworkResult, folder: Path) -> None:
    """Write ``run.json``, and for every row a problem and a mapping that ``procrustes evaluate`` reads.

    Parameters
    ----------
    result : NetworkResult
    folder : Path
        Has the cases already.

    Raises
    ------
    OSError
        When something cannot be written.
    """
    for kind in ("problems", "mappings"):
        (folder / kind).mkdir(exist_ok=True)
    for row in result.rows:
        write_atomically(folder / "problems" / problem_file(row), _yaml({"problem": row.entry.problem}))
        mapping = {
            "mapping": row.case.mapping["mapping"] | {"name": mapping_file(row).removesuffix(".yaml")[:100]}
        }
        write_atomically(folder / "mappings" / mapping_file(row), _yaml(mapping))
    write_atomically(folder / RUN_FILE, result.to_run_json())


def problem_file(row: Row) -> str:
    """Return the name of the file of a row's problem, in ``problems/``."""
    return f"{_plain(row.layer)}_{row.phase.short}.yaml"


def mapping_file(row: Row) -> str:
    """Return the name of the file of a row's mapping, in ``mappings/``."""
    return f"{_plain(row.layer)}_{row.phase.short}_{_plain(row.design)}.yaml"


def _plain(name: str) -> str:
    """Return a name as part of a file name."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).lstrip(".") or "_"


def _yaml(data: dict[str, Any]) -> str:
    import yaml

    plain = json.loads(json.dumps(with_version(data)))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110))
