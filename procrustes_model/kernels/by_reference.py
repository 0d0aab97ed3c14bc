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

_WORD = 8
"""Bytes of each number in an array's members; fields begin at multiples of it."""

_BYTES = ir.IntType(8).as_pointer()
"""What a kernel passes: its type is spelled out wherever it stands, and that of all fields is long."""


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
        super().__init__(manager, kind, _BYTES)


_places: dict[str, tuple[int, ...]] = {}
"""Where the fields of a type begin, in bytes; last, where they end."""


def _find_places(context: Any, kind: Reference) -> tuple[int, ...]:
    if kind.name not in _places:
        places = [0]
        for field in kind.fields:
            if isinstance(field, types.Array):
                size = _WORD * (_MEMBERS.index("shape") + 2 * field.ndim)
            elif isinstance(field, Reference):
                size = _WORD
            else:
                size = context.get_abi_sizeof(context.get_data_type(field))
            places.append(places[-1] + -(-size // _WORD) * _WORD)
        _places[kind.name] = tuple(places)
    return _places[kind.name]


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


def _point(builder: Any, pointer: Any, place: int, kind: Any) -> Any:
    """Return a pointer to what lies some bytes further on."""
    offset = ir.Constant(ir.IntType(64), place)
    place_of = builder.gep(pointer, [offset], inbounds=True)
    return place_of if kind == _BYTES.pointee else builder.bitcast(place_of, kind.as_pointer())


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


def _find_reader(module: Any, kind: Any, size: int) -> Any:
    """Return the function of a module that loads arrays of a type, without their owners.

    Of their members those are read that do not follow from others, or from the type: an element takes `size`
    bytes. The function becomes part of what calls it, and is written down once.
    """
    dimensions = len(kind.elements[_MEMBERS.index("shape")])
    name = f"read_array.{dimensions}.{kind.elements[_MEMBERS.index('data')].pointee}.{size}"
    if name in module.globals:
        return module.globals[name]
    reader = ir.Function(module, ir.FunctionType(kind, [_BYTES]), name)
    reader.linkage = "internal"
    reader.attributes.add("alwaysinline")
    builder = ir.IRBuilder(reader.append_basic_block())
    members: dict[str, Any] = {}
    for name in _READ:
        index = _MEMBERS.index(name)
        place = _WORD * (index if name != "strides" else index - 1 + dimensions)
        members[name] = _load(builder, _point(builder, reader.args[0], place, kind.elements[index]))
    word = kind.elements[_MEMBERS.index("itemsize")]
    elements = word(1)
    for axis in range(dimensions):
        elements = builder.mul(elements, builder.extract_value(members["shape"], axis))
    members |= {"nitems": elements, "itemsize": word(size)}
    value = ir.Constant(kind, None)
    for name, member in members.items():
        value = builder.insert_value(value, member, _MEMBERS.index(name))
    builder.ret(value)
    return reader


@lower_getattr_generic(Reference)
def _get_field(context: Any, builder: Any, kind: Reference, pointer: Any, name: str) -> Any:
    index = kind.fields.fields.index(name)
    field, place = kind.fields[index], _find_places(context, kind)[index]
    if isinstance(field, types.Array):
        size = context.get_abi_sizeof(context.get_data_type(field.dtype))
        reader = _find_reader(builder.module, context.get_value_type(field), size)
        return builder.call(reader, [_point(builder, pointer, place, _BYTES.pointee)])
    data = _load(builder, _point(builder, pointer, place, context.get_data_type(field)))
    return context.data_model_manager[field].from_data(builder, data)


def _hide(builder: Any, pointer: Any) -> Any:
    """Return the pointer as one of which the compiler knows nothing.

    What is read as never changing must not be seen to be written, as fields are before a kernel runs.
    """
    signature = ir.FunctionType(pointer.type, [pointer.type])
    return builder.call(ir.InlineAsm(signature, "", "=r,0,~{memory}", side_effect=True), [pointer])


def _adapt_arrays(c: Any, kind: Reference, value: Any, memory: Any, rows: list[tuple[int, int]]) -> Any:
    """Write down where the arrays of a tuple lie; return whether that failed.

    `rows`: the number of each in the tuple, and its place in memory. One loop over them is written down.
    """
    builder, failed = c.builder, cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    number = c.pyapi.py_ssize_t
    table = ir.Constant(
        ir.ArrayType(ir.ArrayType(number, 2), len(rows)),
        [ir.Constant(ir.ArrayType(number, 2), [number(index), number(place)]) for index, place in rows],
    )
    where = cgutils.global_constant(builder, f"arrays of {kind.name}", table)
    one = ir.FunctionType(c.pyapi.pyobj, [c.pyapi.pyobj, number])
    get = cgutils.get_or_insert_function(builder.module, one, "PyTuple_GetItem")
    signature = ir.FunctionType(ir.IntType(32), [c.pyapi.pyobj, c.pyapi.voidptr])
    adapt = cgutils.get_or_insert_function(builder.module, signature, "numba_adapt_ndarray")
    with cgutils.for_range(builder, number(len(rows))) as loop:
        index, place = (builder.load(cgutils.gep(builder, where, 0, loop.index, i)) for i in range(2))
        item = builder.call(get, [value, index])
        fault = builder.call(adapt, [item, builder.gep(memory, [place], inbounds=True)])
        builder.store(builder.or_(builder.load(failed), cgutils.is_not_null(builder, fault)), failed)
    return builder.load(failed)


@unbox(Reference)
def _lay_out(kind: Reference, value: Any, c: Any) -> Any:
    """Lay a tuple out in the memory of the call from Python."""
    builder, manager = c.builder, c.context.data_model_manager
    places = _find_places(c.context, kind)
    words = ir.ArrayType(ir.IntType(8 * _WORD), places[-1] // _WORD)
    memory = builder.bitcast(cgutils.alloca_once(builder, words), _BYTES)
    fields = list(enumerate(zip(kind.fields, places, strict=False)))
    rows = [(index, place) for index, (field, place) in fields if isinstance(field, types.Array)]
    failed = _adapt_arrays(c, kind, value, memory, rows) if rows else cgutils.false_bit
    for index, (field, place) in fields:
        if isinstance(field, types.Array):
            continue
        item = c.pyapi.tuple_getitem(value, index)
        if manager[field].contains_nrt_meminfo():
            raise TypeError(f"{kind.fields.fields[index]} of {kind} has an owner and is no array")
        native = c.unbox(field, item)
        failed = builder.or_(failed, native.is_error)
        data = manager[field].as_data(builder, native.value)
        builder.store(data, _point(builder, memory, place, data.type))
    with builder.if_then(failed, likely=False):
        c.pyapi.err_set_string("PyExc_TypeError", f"a field is not as {kind} has it")
    return NativeValue(_hide(builder, memory), is_error=failed)
