"""Named tuples that kernels pass to each other by reference: an extension of Numba.

Numba passes a tuple by value. Every number of every array in it is an argument of its own, some hundreds for
a machine, which each call copies, and which each kernel compiles. Here a kernel passes one pointer, and reads
what it uses.

The call from Python lays a tuple out in memory, once; it and its arrays outlive all kernels that see it,
and none of its fields changes meanwhile. Fields are therefore read as what never changes, and arrays without
their owners: nothing counts who uses them. A kernel must not return such an array to Python.
"""

from __future__ import annotations

import hashlib
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.typing import templates
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

_MEMBERS = ("meminfo", "parent", "nitems", "itemsize", "data", "shape", "strides")
"""The members of an array in Numba; the first two own its memory, 0 where nothing does."""

_READ = ("data", "shape", "strides")


_AttributeTemplate: Any = templates.AttributeTemplate


class Reference(types.Type):
    """The type of a pointer to the fields of a named tuple.

    Parameters
    ----------
    fields : types.BaseNamedTuple
        What is pointed to.
    """

    def __init__(self, fields: Any) -> None:
        self.fields = fields
        # The full name of a tuple is long, and would be part of the name of every kernel that takes it.
        digest = hashlib.sha256(str(fields).encode()).hexdigest()[:16]
        super().__init__(name=f"{fields.instance_class.__name__}_{digest}")

    @property
    def key(self) -> Any:
        """Return what tells these types apart: its hash, unlike that of many fields, costs nothing."""
        return self.name


@register_model(Reference)
class _ReferenceModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Reference) -> None:
        super().__init__(manager, kind, manager.lookup(kind.fields).get_data_type().as_pointer())


def register(cls: type) -> None:
    """Pass a class of named tuples by reference."""

    def find_type(value: Any, context: Any) -> Reference | None:
        fields = [typeof_impl(field, context) for field in value]
        return None if None in fields else Reference(types.BaseTuple.from_types(fields, cls))

    typeof_impl.register(cls)(find_type)


@infer_getattr
class _FieldTypes(_AttributeTemplate):
    key = Reference

    def generic_resolve(self, kind: Reference, name: str) -> Any:
        names = kind.fields.fields
        return kind.fields[names.index(name)] if name in names else None


def _load(builder: Any, pointer: Any) -> Any:
    """Load what a pointer points to, number by number."""
    kind = pointer.type.pointee
    if isinstance(kind, ir.LiteralStructType | ir.ArrayType):
        value = ir.Constant(kind, ir.Undefined)
        for index in range(len(kind)):
            part = _load(builder, cgutils.gep_inbounds(builder, pointer, 0, index))
            value = builder.insert_value(value, part, index)
        return value
    value = builder.load(pointer)
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _load_array(builder: Any, pointer: Any, kind: Any, size: int) -> Any:
    """Load an array, without its owners, whose elements take `size` bytes.

    Of its members those are read that do not follow from others, or from its type.
    """
    places = {name: cgutils.gep_inbounds(builder, pointer, 0, _MEMBERS.index(name)) for name in _READ}
    data, shape, strides = (_load(builder, places[name]) for name in _READ)
    value = ir.Constant(pointer.type.pointee, None)
    elements = shape.type.element(1)
    for axis in range(kind.ndim):
        elements = builder.mul(elements, builder.extract_value(shape, axis))
    members = {"nitems": elements, "itemsize": elements.type(size), "data": data, "shape": shape}
    for name, member in {**members, "strides": strides}.items():
        value = builder.insert_value(value, member, _MEMBERS.index(name))
    return value


@lower_getattr_generic(Reference)
def _get_field(context: Any, builder: Any, kind: Reference, pointer: Any, name: str) -> Any:
    index = kind.fields.fields.index(name)
    field = kind.fields[index]
    place = cgutils.gep_inbounds(builder, pointer, 0, index)
    if isinstance(field, types.Array):
        size = context.get_abi_sizeof(context.get_data_type(field.dtype))
        return _load_array(builder, place, field, size)  # in memory an array looks as it does elsewhere
    return context.data_model_manager[field].from_data(builder, _load(builder, place))


def _hide(builder: Any, pointer: Any) -> Any:
    """Return the pointer as one of which the compiler knows nothing.

    What is read as never changing must not be seen to be written, as fields are before a kernel runs.
    """
    signature = ir.FunctionType(pointer.type, [pointer.type])
    return builder.call(ir.InlineAsm(signature, "", "=r,0,~{memory}", side_effect=True), [pointer])


def _adapt_array(c: Any, value: Any, pointer: Any) -> Any:
    """Write down where an array lies; return whether that failed."""
    signature = ir.FunctionType(ir.IntType(32), [c.pyapi.pyobj, c.pyapi.voidptr])
    adapt = cgutils.get_or_insert_function(c.builder.module, signature, "numba_adapt_ndarray")
    fault = c.builder.call(adapt, [value, c.builder.bitcast(pointer, c.pyapi.voidptr)])
    return cgutils.is_not_null(c.builder, fault)


@unbox(Reference)
def _lay_out(kind: Reference, value: Any, c: Any) -> Any:
    """Lay a tuple out in the memory of the call from Python."""
    builder, manager = c.builder, c.context.data_model_manager
    memory = cgutils.alloca_once(builder, manager[kind].get_value_type().pointee)
    failed = cgutils.false_bit
    for index, field in enumerate(kind.fields):
        item = c.pyapi.tuple_getitem(value, index)
        pointer = cgutils.gep_inbounds(builder, memory, 0, index)
        if isinstance(field, types.Array):
            failed = builder.or_(failed, _adapt_array(c, item, pointer))
            continue
        if manager[field].contains_nrt_meminfo():
            raise TypeError(f"{kind.fields.fields[index]} of {kind} has an owner and is no array")
        native = c.unbox(field, item)
        failed = builder.or_(failed, native.is_error)
        builder.store(manager[field].as_data(builder, native.value), pointer)
    with builder.if_then(failed, likely=False):
        c.pyapi.err_set_string("PyExc_TypeError", f"a field is not as {kind} has it")
    return NativeValue(_hide(builder, memory), is_error=failed)
