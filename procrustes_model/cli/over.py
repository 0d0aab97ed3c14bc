"""``procrustes search --over``: the best machine of a family, with its best mapping."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from procrustes_model.cli.outputs import announce_compiling, print_written, to_stdout, write_output
from procrustes_model.cli.say import say
from procrustes_model.errors import Issue, SpecError
from procrustes_model.options import options_of
from procrustes_model.sweeps.request import OverRequest

if TYPE_CHECKING:
    from procrustes_model.network.sparse_options import SparseOptions
    from procrustes_model.options import Request
    from procrustes_model.sweeps.over_result import OverResult


@dataclass(frozen=True)
class FamilyFiles:
    """Where what is found of a family is written.

    Attributes
    ----------
    out, machine, design, csv, json : Path or None
        Mapping, machine and design of the best member; a table of all; everything.
    """

    out: Path | None
    machine: Path | None
    design: Path | None
    csv: Path | None
    json: Path | None

    @property
    def outputs(self) -> dict[str, Path | None]:
        """The files by their options."""
        return {f"--{name}": path for name, path in vars(self).items()}


def check_family(options: Request, others: list[str]) -> None:
    """Raise where an option is given that a search over a family leaves without effect."""
    known = options_of(OverRequest)
    unused = options.given(*(name for name in options_of(type(options)) if name not in known))
    unused += others
    if unused:
        hint = "it proves, of even mappings and whole passes, with formats as stated"
        raise SpecError(Issue(f"--over does without {', '.join(unused)}", hint))


def search_family(
    given: dict[str, Any], sparse: SparseOptions, files: FamilyFiles, line: Any, *, quiet: bool
) -> bool:
    """Search a family, write what is found, print it, and say whether the user stopped it.

    Parameters
    ----------
    given : dict of str to Any
        Fields of an `OverRequest`, but for what is zero.
    sparse : SparseOptions
    files : FamilyFiles
    line : callable or None
        Shows progress, and has `clear`.
    quiet : bool
    """
    from procrustes_model.sweeps.over import search_over

    request = OverRequest(**given, **sparse.shared(OverRequest), progress=line)
    if not quiet:
        announce_compiling("walk" if sparse.sparsity is None else "list_candidates")
    result = search_over(request)
    if line is not None:
        line.clear()
    _write(result, files)
    if not quiet and not to_stdout(files.outputs):
        from procrustes_model.report.terminal.over import format_over
        from procrustes_model.report.terminal.style import Style

        say(format_over(result, Style.of(sys.stdout)), styled=True)
        print_written(files.outputs)
    return result.found.interrupted


def _write(result: OverResult, files: FamilyFiles) -> None:
    from procrustes_model.files import json_text

    if files.machine is not None:
        if result.machine is None:
            raise SpecError(Issue("--machine: no file says this machine", "give a file or a name"))
        write_output(files.machine, result.machine)
    if files.design is not None:
        if result.sparsity is None:
            raise SpecError(Issue("--design: the best member has no sparse design", "leave it out"))
        write_output(files.design, result.sparsity.to_yaml())
    if files.out is not None:
        write_output(files.out, result.found.to_yaml())
    if files.csv is not None:
        write_output(files.csv, result.csv_text())
    if files.json is not None:
        write_output(files.json, json_text(result.to_dict()))
