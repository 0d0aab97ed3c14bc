"""Reading and writing elements of arrays, written down once for all places that do it alike.

Numba writes some thirty instructions for each element that is read or written. Here they are a function of
their own, for the types of an array and of an index, which becomes part of what calls it: LLVM does that in
much less time than Numba takes to write the instructions down, and LLVM to read them.
"""

from __future__ import annotations

import functools
import hashlib
import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types

_KEYS = (operator.getitem, operator.setitem)


def _is_element(signature: Any) -> bool:
    """Say whether an element is read or written, and neither a part of an array nor an object."""
    array, index, *_ = signature.args
    of: tuple[Any, ...] = getattr(index, "types", (index,))
    return (
        isinstance(array, types.Array)
        and len(of) == array.ndim
        and all(isinstance(kind, types.Integer) for kind in of)
        and isinstance(array.dtype, types.Number | types.Boolean)
    )


def _write_down(context: Any, module: Any, name: str, signature: Any, implement: Any) -> Any:
    """Return the function of a module, made if need be."""
    if name in module.globals:
        return module.globals[name]
    given = [context.get_value_type(kind) for kind in signature.args]
    returned = signature.return_type
    gives = returned is not None and returned != types.none
    kind = context.get_value_type(returned) if gives else ir.VoidType()
    function = ir.Function(module, ir.FunctionType(kind, given), name)
    function.linkage = "internal"
    function.attributes.add("alwaysinline")
    builder = ir.IRBuilder(function.append_basic_block())
    value = implement(builder, function.args)
    if gives:
        builder.ret(value)
    else:
        builder.ret_void()
    return function


def get_function(context: Any, function: Any, signature: Any, **rest: Any) -> Callable[..., Any]:
    """Return what lowers a call, as `BaseContext.get_function` does."""
    implement: Callable[..., Any] = type(context).get_function(context, function, signature, **rest)
    key = getattr(function, "typing_key", function)
    if key not in _KEYS or not _is_element(signature):
        return implement
    text = f"{key.__name__} {signature.args} {signature.return_type}"
    name = f"{key.__name__}.{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    @functools.wraps(implement, updated=())
    def call(builder: Any, args: Any, **_: Any) -> Any:
        written = _write_down(context, builder.module, name, signature, implement)
        result = builder.call(written, args)
        return context.get_dummy_value() if isinstance(result.type, ir.VoidType) else result

    return call
