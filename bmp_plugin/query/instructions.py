"""Instructions that numba has no words for."""
from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic


@intrinsic
def touch(typing_context: Any, array: Any, index: Any) -> Any:
    """Prefetch the cache line of the array's element ``index``, counted in elements of the C-contiguous whole.

    A hint: it changes nothing and cannot fault, wherever it points.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte = ir.IntType(8).as_pointer()
        number = ir.IntType(32)
        prefetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0i8")
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        read, keep, of_data = ir.Constant(number, 0), ir.Constant(number, 3), ir.Constant(number, 1)
        builder.call(prefetch, [address, read, keep, of_data])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@intrinsic
def add_product(typing_context: Any, total: Any, a: Any, b: Any) -> Any:
    """total + a * b in uint16, modulo 2^16.

    Numba computes products of narrow integers in 64 bits, which the compiler does not always bring back: twice the time.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.add(arguments[0], builder.mul(arguments[1], arguments[2]))

    return types.uint16(types.uint16, types.uint16, types.uint16), generate


@intrinsic
def bits_of(typing_context: Any, value: Any) -> Any:
    """The bits of a float32 as a uint32."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.uint32(types.float32), generate


@intrinsic
def float_of(typing_context: Any, bits: Any) -> Any:
    """The float32 whose bits a uint32 has."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate
