"""An index's arrays handed to a kernel as one: numba looks at every array that a call is given, which for two dozen of them
takes as long as a short query, and holds the interpreter."""
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np import arrayobj, numpy_support
from numpy.typing import NDArray

from ..index.layout import ARRAYS
from .lists import Index

WORDS = 3                # of an array: its address and its shape
_SPECS = [ARRAYS[name] for name in Index._fields]
_KIND = types.NamedTuple([types.Array(numpy_support.from_dtype(np.dtype(spec.dtype)), len(spec.shape), "C", readonly=True)
                          for spec in _SPECS], Index)


def addresses_of(index: Index) -> NDArray[np.int64]:
    """Where the arrays of an index are: int64[arrays, WORDS], for :func:`index_at`; whoever keeps it keeps the arrays, too.

    Errors: ``ValueError`` for an array that is not as the layout says: a kernel would take it for something else.
    """
    table = np.zeros((len(Index._fields), WORDS), np.int64)
    for name, spec, array, row in zip(Index._fields, _SPECS, index, table, strict=True):
        if array.dtype != np.dtype(spec.dtype) or array.ndim != len(spec.shape) or not array.flags.c_contiguous \
                or not array.flags.aligned:
            raise ValueError(f"array {name} is not {spec.dtype}[{', '.join(spec.shape)}], contiguous and aligned")
        row[0] = array.ctypes.data
        row[1:1 + array.ndim] = array.shape
    return table


@intrinsic
def index_at(typing_context: Any, table: Any) -> Any:
    """The :class:`.lists.Index` whose arrays are where ``table``, of :func:`addresses_of`, says. They own nothing."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        words = context.make_array(table)(context, builder, arguments[0]).data
        made = []
        for number, kind in enumerate(_KIND.types):
            address, *shape = [builder.load(builder.gep(words, [ir.Constant(ir.IntType(64), WORDS * number + x)]))
                               for x in range(1 + kind.ndim)]
            size = ir.Constant(ir.IntType(64), kind.dtype.bitwidth // 8)
            strides = [size]
            for count in shape[:0:-1]:
                strides.insert(0, builder.mul(strides[0], count))
            array = context.make_array(kind)(context, builder)
            arrayobj.populate_array(array, data=builder.inttoptr(address, array.data.type), itemsize=size, meminfo=None,
                                    shape=cgutils.pack_array(builder, shape), strides=cgutils.pack_array(builder, strides))
            made.append(array._getvalue())
        return context.make_tuple(builder, _KIND, made)

    return _KIND(table), generate
