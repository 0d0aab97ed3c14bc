"""The passes by which Numba compiles kernels: those that find something to do in one.

Numba runs some thirty over each function, most of which look for what kernels do without, such as contexts
and closures, and works out where variables are used after every other one. What is lowered is the same.
"""

from __future__ import annotations

from typing import Any

from numba.core import (
    analysis,
    compiler,
    interpreter,
    ir,
    ir_utils,
    postproc,
    ssa,
    transforms,
    typed_passes,
    types,
    untyped_passes,
)
from numba.core.compiler_machinery import PassManager
from numba.core.rewrites import registry
from numba.np.ufunc.array_exprs import RewriteArrayExprs

from procrustes_model.kernels.by_reference import Reference

_Manager: Any = PassManager
_Interpreter: Any = interpreter.Interpreter
_PostProcessor: Any = postproc.PostProcessor
_ArrayExpressions: Any = RewriteArrayExprs
_analysis: Any = analysis
_utilities: Any = ir_utils
_Const: Any = ir.Const
_ssa: Any = ssa
_transforms: Any = transforms
_typed: Any = typed_passes
_untyped: Any = untyped_passes

_OPERATIONS = frozenset(
    {"binop", "inplace_binop", "unary", "call", "getattr", "getitem", "static_getitem", "build_tuple"}
    | {"cast", "exhaust_iter", "getiter", "iternext", "pair_first", "pair_second"}
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


def _is_field(value: Any) -> bool:
    return isinstance(value, ir.Expr) and value.op == "getattr"


def _find_kind(function: Any, value: Any, kinds: Any) -> Any:
    """Return the type of an argument, or of a field of one that is passed by reference; else None."""
    if isinstance(value, ir.Var):
        value = _utilities.guard(_utilities.get_definition, function, value)
    if isinstance(value, ir.Arg):
        return kinds[value.index]
    if _is_field(value):
        kind = _find_kind(function, value.value, kinds)
        if isinstance(kind, Reference) and value.attr in kind.fields.fields:
            return kind.fields[kind.fields.fields.index(value.attr)]
    return None


def _fold_fields(function: Any, kinds: Any) -> None:
    """Write None for fields that are always None: what is done where they are not is not compiled."""
    for block in function.blocks.values():
        for statement in block.find_insts(ir.Assign):
            value = statement.value
            if _is_field(value) and _find_kind(function, value, kinds) == types.none:
                statement.value = _Const(None, value.loc)
                function._definitions[statement.target.name] = [statement.value]


def _keep_numbers(state: Any) -> None:
    """Leave variables alone once they are not used any more, but for those that own memory."""
    manager = state.targetctx.data_model_manager
    owns = {
        name: isinstance(kind, types.Array) or manager[kind].contains_nrt_meminfo()
        for name, kind in state.typemap.items()
    }
    for block in state.func_ir.blocks.values():
        block.body = [
            statement
            for statement in block.body
            if not isinstance(statement, ir.Del) or owns.get(statement.value, True)
        ]


class KernelPasses(_Manager):  # type: ignore[misc]
    """Runs them, or all that Numba has where they are not enough."""

    def run(self, state: Any) -> None:
        """Compile what a state describes."""
        found = _Interpreter(state.func_id).interpret(state.bc)
        if not all(_is_plain(statement) for block in found.blocks.values() for statement in block.body):
            compiler.DefaultPassBuilder.define_nopython_pipeline(state).run(state)  # type: ignore[no-untyped-call]
            return
        state.func_ir, state.nargs = found, found.arg_count
        self._prepare(state)
        _typed.NopythonTypeInference().run_pass(state)
        self._finish(state)

    def _prepare(self, state: Any) -> None:
        """Do what comes before types are known."""
        found = state.func_ir
        found.blocks = _transforms.canonicalize_cfg(found.blocks)
        _fold_fields(found, state.args)
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
        _keep_numbers(state)
        state.type_annotation = ""  # which nobody reads, and which would be kept with the code
        _typed.NativeLowering().run_pass(state)
        _typed.NoPythonBackend().run_pass(state)
