"""Rules of levels that are written more than once: their tensors have tiles at different loops."""

from __future__ import annotations

from procrustes_model.spec.architecture import Architecture
from procrustes_model.spec.homes import find_home
from procrustes_model.spec.mapping_written import WrittenLevel
from procrustes_model.spec.problem import Problem
from procrustes_model.spec.text.document import Document


def check_entries(
    entries: list[tuple[int, WrittenLevel]], architecture: Architecture, problem: Problem, document: Document
) -> None:
    """Note what is wrong with entries of levels that have several.

    Parameters
    ----------
    entries : list of (int, WrittenLevel)
        Index of the level, and what is written.
    architecture : Architecture
    problem : Problem
    document : Document
        Gets the issues.
    """
    for index, storage in enumerate(architecture.levels):
        mine = [level for at, level in entries if at == index]
        if len(mine) == 1:
            continue
        if storage.beside or any(one.beside for one in architecture.levels[index + 1 : index + 2]):
            message = f"{storage.name} is written {len(mine)} times, and levels lie side by side there"
            document.complain((*mine[1].path, "level"), message, "merge the entries")
        begin = [one.name for one in problem.tensors if find_home(architecture, problem, one.name) == index]
        for level in mine[1:]:
            for name in [one for one in begin if one in level.keep and one not in mine[0].keep]:
                message = f"{name} begins and ends at {storage.name}, and is kept at an inner entry"
                document.complain((*level.path, "keep"), message, "keep it at the first entry of the level")
                # as if it were kept there, which is one mistake less
                level.keep = tuple(one for one in level.keep if one != name)
                mine[0].keep = (*mine[0].keep, name)
        place: dict[str, WrittenLevel] = {}
        for number, level in enumerate(mine):
            if not level.stated:
                message = f"duplicate level '{storage.name}' without 'keep'"
                hint = "merge the two, or write in 'keep' of each the tensors whose tiles stand there"
                document.complain((*level.path, "level"), message, hint)
                continue
            for name in level.keep:
                if name in place:
                    message = f"{storage.name} keeps {name} at two of its entries"
                    document.complain((*level.path, "keep"), message, "keep it at one of them")
                place[name] = level
            for key in ("spatial_x", "spatial_y") if number + 1 < len(mine) else ():
                for name, factor in level.loops.pop(key).items():
                    if factor > 1:
                        message = f"{key} {name}={factor} stands outside of the last entry of {storage.name}"
                        hint = "instances lie below the last entry of a level: write it there"
                        document.complain((*level.path, key), message, hint)
                    # as if it stood there, so that bounds are covered
                    mine[-1].loops[key][name] = mine[-1].loops[key].get(name, 1) * factor
                level.loops[key] = {}
