"""The passes by which Numba compiles kernels: those that find something to do in one.

Numba runs some thirty over each function, most of which look for what kernels do without, such as contexts
and closures, and works out where variables are used after every other one. What is lowered is the same.
"""

from __future__ import annotations

from typing import Any

from numba.core import (
    analysis,
    interpreter,
    ir,
    ir_utils,
    postproc,
    ssa,
    transforms,
    typed_passes,
    untyped_passes,
)
from numba.core.compiler_machinery import PassManager
from numba.core.rewrites import registry
from numba.np.ufunc.array_exprs import RewriteArrayExprs

_Manager: Any = PassManager
_Interpreter: Any = interpreter.Interpreter
_PostProcessor: Any = postproc.PostProcessor
_ArrayExpressions: Any = RewriteArrayExprs
_analysis: Any = analysis
_utilities: Any = ir_utils
_ssa: Any = ssa
_transforms: Any = transforms
_typed: Any = typed_passes
_untyped: Any = untyped_passes

_OPERATIONS = frozenset(
    ["binop", "inplace_binop", "unary", "call", "getattr", "getitem", "static_getitem", "build_tuple", "cast"]
    + ["exhaust_iter", "getiter", "iternext", "pair_first", "pair_second"]
)
_STATEMENTS = (ir.Assign, ir.SetItem, ir.Jump, ir.Branch, ir.Return)
_UNUSUAL = frozenset(("literally", "literal_unroll", "isinstance", "hasattr", "reduce", "print", "stencil"))
"""Functions with passes of their own."""


def _is_plain(statement: Any) -> bool:
    """Say whether the passes here are enough for a statement."""
    if not isinstance(statement, ir.Assign):
        return isinstance(statement, _STATEMENTS)
    value: Any = statement.value
    if isinstance(value, ir.Expr):
        return value.op in _OPERATIONS and not (value.op == "call" and value.vararg)
    named = isinstance(value, ir.Global | ir.FreeVar)
    return not named or getattr(value.value, "__name__", None) not in _UNUSUAL


def _rewrite(kind: str, state: Any) -> None:
    """Apply Numba's rewrites of a kind, as `rewrite_registry.apply` does."""
    blocks = state.func_ir.blocks
    for make in registry.rewrite_registry.rewrites[kind]:
        rewrite = make(state)
        left = list(blocks)
        while left:
            label = left.pop()
            if rewrite.match(state.func_ir, blocks[label], state.typemap, state.calltypes):
                blocks[label] = rewrite.apply()
                left.append(label)


def _has_array_expressions(state: Any) -> bool:
    """Say whether an operation makes an array of others."""
    find = _ArrayExpressions(state).match
    return any(
        find(state.func_ir, block, state.typemap, state.calltypes) for block in state.func_ir.blocks.values()
    )


class KernelPasses(_Manager):  # type: ignore[misc]
    """Runs them, and Numba's own over what they are not enough for.

    Parameters
    ----------
    passes : PassManager
        Numba's own.
    """

    def __init__(self, passes: Any) -> None:
        super().__init__(passes.pipeline_name)
        self._all = passes

    def run(self, state: Any) -> None:
        """Compile what a state describes."""
        found = _Interpreter(state.func_id).interpret(state.bc)
        if not all(_is_plain(statement) for block in found.blocks.values() for statement in block.body):
            self._all.run(state)
            return
        state.func_ir, state.nargs = found, found.arg_count
        self._prepare(state)
        _typed.NopythonTypeInference().run_pass(state)
        self._finish(state)

    def _prepare(self, state: Any) -> None:
        """Do what comes before types are known."""
        found = state.func_ir
        found.blocks = _transforms.canonicalize_cfg(found.blocks)
        _analysis.rewrite_semantic_constants(found, state.args)
        _analysis.dead_branch_prune(found, state.args)
        _rewrite("before-inference", state)
        _untyped.InlineInlinables().run_pass(state)
        state.func_ir = found = _ssa.reconstruct_ssa(found)
        found._definitions = _utilities.build_definitions(found.blocks)
        _analysis.dead_branch_prune(found, state.args)

    def _finish(self, state: Any) -> None:
        """Do what follows, once types are known."""
        state.func_ir = found = _typed.PreLowerStripPhis()._strip_phi_nodes(state.func_ir)
        found._definitions = _utilities.build_definitions(found.blocks)
        _typed.InlineOverloads().run_pass(state)
        if _has_array_expressions(state):
            _typed.NopythonRewrites().run_pass(state)
        _PostProcessor(found).run(emit_dels=True)
        state.type_annotation = ""  # which nobody reads, and which would be kept with the code
        _typed.NativeLowering().run_pass(state)
        _typed.NoPythonBackend().run_pass(state)
