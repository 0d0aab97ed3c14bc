"""The folder of a run: what stands in it, and under which names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from procrustes_model.files import write_atomically
from procrustes_model.network.result import RUN_FILE, NetworkResult
from procrustes_model.versions import with_version

if TYPE_CHECKING:
    from procrustes_model.vocabulary import Phase

K = TypeVar("K")

_LONGEST = 80
"""Characters of a layer's or a design's name in a file name."""


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
    problems, mappings = problem_files(result), mapping_files(result)
    for row in result.rows:
        if not row.case.searched:
            continue
        problem, mapping = problems[row.layer, row.phase], mappings[row.layer, row.phase, row.design]
        write_atomically(folder / "problems" / problem, _yaml({"problem": row.entry.problem}))
        own = row.case.mapping["mapping"] | {"name": mapping.removesuffix(".yaml")[:100]}
        write_atomically(folder / "mappings" / mapping, _yaml({"mapping": own}))
    write_atomically(folder / RUN_FILE, result.to_run_json())


def problem_files(result: NetworkResult) -> dict[tuple[str, Phase], str]:
    """Return the names of the files of problems, in ``problems/``, by layer and phase."""
    keys = dict.fromkeys((row.layer, row.phase) for row in result.rows)
    return _distinct({key: (key[0], key[1].short) for key in keys})


def mapping_files(result: NetworkResult) -> dict[tuple[str, Phase, str], str]:
    """Return the names of the files of mappings, in ``mappings/``, by layer, phase and design."""
    keys = dict.fromkeys((row.layer, row.phase, row.design) for row in result.rows)
    return _distinct({key: (key[0], key[1].short, key[2]) for key in keys})


def _distinct(parts: dict[K, tuple[str, ...]]) -> dict[K, str]:
    """Return a file name for each key, no two alike wherever files are kept.

    Characters that file names should not have become ``_``. Of names that are alike then, also but for the
    case of letters, those that were plain keep theirs, and others get a number.
    """
    plain = {key: tuple(map(plain_name, words)) for key, words in parts.items()}
    taken: set[str] = set()
    names = {}
    for key in sorted(
        parts, key=lambda key: plain[key] != parts[key]
    ):  # plain ones first, else as they stand
        name, number = "_".join(plain[key]), 1
        while (file := name if number == 1 else f"{name}-{number}").casefold() in taken:
            number += 1
        taken.add(file.casefold())
        names[key] = f"{file}.yaml"
    return names


def plain_name(name: str) -> str:
    """Return a name as part of a file name: no folder, and nothing hidden."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).lstrip(".")[:_LONGEST] or "_"


def _yaml(data: dict[str, Any]) -> str:
    import yaml

    plain = json.loads(json.dumps(with_version(data)))
    return str(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=110))
