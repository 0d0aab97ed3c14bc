"""Code of kernels that is optimised once: where Python calls it, with all that it calls.

Numba optimises every function by itself and turns it into machine code, and then does so again within each
function that calls it. Here a kernel that other kernels call stays nearly as it was lowered. Only what Python
calls is linked with all that it needs, optimised as a whole, and turned into machine code.

It extends parts of Numba that are its own, as they are in the releases that `kernels.cache.links_kernels`
names; with others, kernels are compiled as Numba does it.
"""

from __future__ import annotations

import functools
import gc
import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import llvmlite.binding as llvm
from numba.core import bytecode, codegen, compiler, types
from numba.core.environment import lookup_environment
from numba.core.runtime.context import NRTContext

from procrustes_model.kernels.found import Depth, already_known, find_size, resolved_once, untimed
from procrustes_model.kernels.outlined import get_function
from procrustes_model.kernels.passes import KernelPasses

_Library: Any = codegen.JITCodeLibrary
_Compiler: Any = compiler.Compiler
_Options: Any = compiler.Flags
_Counts: Any = NRTContext
_find_environment: Any = lookup_environment

_ENVIRONMENT = "_ZN08NumbaEnv"
"""How names begin of what a function knows of Python."""

# Symbols of functions with one name differ by a number. What is kept meets what other processes have made:
# they count from different ones.
bytecode.FunctionIdentity._unique_ids = itertools.count(int.from_bytes(os.urandom(7), "big"))


class _NotRun:
    """What stands for the generator of code where code is not run: it has no place to put anything."""

    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Leave it to the code that is run."""


class Library(_Library):  # type: ignore[misc]
    """The code of a function: machine code once the address of what Python calls is asked for."""

    _is_linked = False
    _linking_libraries: list[Any]

    @property
    def codegen(self) -> Any:
        """Return the generator of code."""
        return self._codegen if self._finalized else _NotRun(self._codegen)

    @property
    def has_dynamic_globals(self) -> bool:
        """Return whether the code has addresses of this process in it."""
        self._ensure_finalized()
        self._dynamic_globals: list[str] = []
        self._finalize_dynamic_globals()
        return bool(self._dynamic_globals)

    def add_linking_library(self, library: Any) -> None:
        """Take note of what this code calls; it may not be complete yet."""
        self._raise_if_finalized()
        self._linking_libraries.append(library)

    def add_llvm_module(self, module: Any) -> None:
        """Add code as it was lowered."""
        module.data_layout = self._codegen._data_layout
        self._final_module.link_in(module)

    def _ensure_finalized(self) -> None:
        """Link what this code calls, for who links this code."""
        if self._is_linked:
            return
        self._is_linked = True
        self._simplify()
        for library in dict.fromkeys(self._linking_libraries):
            if library is not self:
                self._reload_init.update(library._reload_init)
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._linking_libraries = []

    def _simplify(self) -> None:
        """Take away what this code does not need, before others take copies of it."""
        passes = llvm.create_new_module_pass_manager()
        passes.add_always_inliner_pass()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.add_dead_code_elimination_pass()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(self._final_module, self._codegen._pass_builder(opt=0))

    def _optimize_final_module(self) -> None:
        """Optimise all at once.

        Numba does so twice, for reference counts that come together, which kernels hardly have; and at its
        third level, where kernels take longer to compile and not less to run.
        """
        passes, options = self._codegen._module_pass_manager(opt=2)
        passes.run(self._final_module, options)

    def get_pointer_to_function(self, name: str) -> int:
        """Return the address of a function, 0 where this code has none of that name."""
        if not self._finalized:
            if all(
                function.name != name or function.is_declaration for function in self._final_module.functions
            ):
                return 0
            self._run()
        return int(super().get_pointer_to_function(name))

    def _run(self) -> None:
        """Make machine code, in which nothing but what Python calls can be seen."""
        own = {function.name for function in self.get_defined_functions()}
        self._ensure_finalized()
        for function in self.get_defined_functions():
            if function.name not in own:
                function.linkage = llvm.Linkage.internal
        self.finalize()
        for variable in self._final_module.global_variables:
            if variable.name.startswith(_ENVIRONMENT) and not variable.is_declaration:
                environment = _find_environment(variable.name)
                if environment is not None:
                    self._codegen.set_env(variable.name, environment)

    def serialize_using_object_code(self) -> Any:
        """Return what is kept: machine code, or what others link."""
        if not self._finalized:
            return self.name, False, self._get_module_for_linking().as_bitcode()
        names = [function.name for function in self.get_defined_functions()]
        return self.name, True, (self._get_compiled_object(), names)

    @classmethod
    def _unserialize(cls, generator: Any, state: Any) -> Self:
        name, runs, data = state
        self = cls(generator, name)
        self._is_linked = True
        if not runs:
            self._final_module = llvm.parse_bitcode(data)
            return self
        code, names = data
        self.enable_object_caching()
        self._set_compiled_object(code)
        self._finalize_final_module()
        generator._engine._defined_symbols.update(names)
        return self


class _Remembered(_Options):  # type: ignore[misc]
    """Options that remember what they are: Numba looks up by them, again and again, what implements what."""

    __slots__ = ("_all", "_hash")

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._forget()

    def _forget(self) -> None:
        object.__setattr__(self, "_all", None)
        object.__setattr__(self, "_hash", None)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        self._forget()

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self._forget()

    def discard(self, name: str) -> None:
        super().discard(name)
        self._forget()

    def values(self) -> dict[str, Any]:
        if self._all is None:
            object.__setattr__(self, "_all", super().values())
        all_of_them: dict[str, Any] = self._all
        return all_of_them

    def __hash__(self) -> int:
        if self._hash is None:
            object.__setattr__(self, "_hash", super().__hash__())
        return int(self._hash)

    def __eq__(self, other: object) -> Any:
        return self is other or super().__eq__(other)


class _Owners(_Counts):  # type: ignore[misc]
    """Code that counts who uses an array: it looks at the owner, not at all that is in the array."""

    def get_meminfos(self, builder: Any, kind: Any, value: Any) -> Any:
        if not isinstance(kind, types.Array):
            return super().get_meminfos(builder, kind, value)
        model = self._context.data_model_manager[kind]
        return [(model.get_type("meminfo"), model.get(builder, value, "meminfo"))]


@contextmanager
def linked(target: Any) -> Iterator[None]:
    """Have a target make libraries of this kind; collecting garbage meanwhile finds little.

    Parameters
    ----------
    target : numba.core.base.BaseContext
    """
    generator, collects = target.codegen(), gc.isenabled()
    before = generator._library_class
    generator._library_class = Library
    gc.disable()
    try:
        yield
    finally:
        generator._library_class = before
        if collects:
            gc.enable()


@contextmanager
def _by_few_passes() -> Iterator[None]:
    """Have Numba compile its own functions as it does kernels, too."""
    before = _Compiler.define_pipelines
    _Compiler.define_pipelines = LinkingCompiler.define_pipelines
    try:
        yield
    finally:
        _Compiler.define_pipelines = before


class LinkingCompiler(_Compiler):  # type: ignore[misc]
    """Numba's compiler, with such libraries for a kernel and all that it needs of Numba's own functions."""

    def __init__(self, typing: Any, target: Any, *rest: Any) -> None:
        self._root = target
        with already_known(typing):
            super().__init__(typing, target, *rest)

    def define_pipelines(self) -> list[Any]:
        """Return the passes of a kernel."""
        return [KernelPasses("nopython")]

    def _compile_core(self) -> Any:
        target = self.state.targetctx
        target.nrt = _Owners(target, target.enable_nrt)
        target.get_abi_sizeof = functools.partial(find_size, target)
        target.get_function = functools.partial(get_function, target)
        self.state.flags = _Remembered(self.state.flags)
        with ExitStack() as stack:
            if not Depth.kernels:
                stack.enter_context(untimed())
                stack.enter_context(_by_few_passes())
                stack.enter_context(resolved_once())
            stack.enter_context(linked(target))
            stack.enter_context(Depth())
            stack.enter_context(already_known(self._root))
            return super()._compile_core()
