"""Intrinsics: instructions that numba has no words for, or that its compiler does not find by itself.

Those that read or write arrays check no bounds, unless ``NUMBA_BOUNDSCHECK=1`` is set; see :mod:`.kernels`. Indices are uint64.
"""
from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 32               # elements of uint16 that are compared or multiplied at once: an AVX-512 register, or two of AVX2
DECODED = 16             # postings of a sparse list that are decoded at once
BEHIND = 3               # postings that may be in the block of the one after them, in blocks of at most 4 documents


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Prefetch the cache line of the array's element ``index``, counted in elements of the C-contiguous whole.

    A hint: it changes nothing and cannot fault, wherever it points.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        read_keep_data = [ir.Constant(number, value) for value in (0, 3, 1)]
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8"),
                     [builder.bitcast(builder.gep(data, [arguments[1]]), byte), *read_keep_data])
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


def vector(context: Any, builder: Any, signature: Any, arguments: Any, which: int, first: Any, lanes: int) -> Any:
    """A pointer to ``lanes`` elements, as a vector, of the array that argument ``which`` is, from index ``first`` on."""
    array = context.make_array(signature.args[which])(context, builder, arguments[which])
    if context.enable_boundscheck:
        [size] = cgutils.unpack_tuple(builder, array.shape, 1)
        for checked in (first, builder.add(first, ir.Constant(first.type, lanes - 1))):
            cgutils.do_boundscheck(context, builder, checked, size)
    kind = ir.VectorType(ir.IntType(signature.args[which].dtype.bitwidth), lanes)
    return builder.bitcast(builder.gep(array.data, [first]), kind.as_pointer())


def everywhere(builder: Any, value: Any, lanes: int) -> Any:
    """A vector of one value."""
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined), value,
                                 ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


@intrinsic
def scale_impacts(typing_context: Any, out: Any, at: Any, impacts: Any, weight: Any) -> Any:
    """out[at + i] = (impacts[at + i] * weight >> 8) + 1, or 0 for an impact of 0, for LANES elements, modulo 2^16.

    out uint16, impacts uint8, weight uint16. The upper half of a product of two numbers of 16 bits is one instruction, which
    compilers find only if nothing is in its way, and not at all in an unrolled loop.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow, wide = (ir.VectorType(ir.IntType(bits), LANES) for bits in (16, 32))
        read = vector(context, builder, signature, arguments, 2, arguments[1], LANES)
        impact = builder.zext(builder.load(read, align=1), narrow)
        one = builder.zext(builder.icmp_unsigned("!=", impact, ir.Constant(narrow, [0] * LANES)), narrow)
        lifted = builder.shl(impact, ir.Constant(narrow, [8] * LANES))
        factor = everywhere(builder, arguments[3], LANES)
        product = builder.mul(builder.zext(lifted, wide), builder.zext(factor, wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, [16] * LANES)), narrow)
        builder.store(builder.add(high, one), vector(context, builder, signature, arguments, 0, arguments[1], LANES), align=2)
        return context.get_dummy_value()

    return types.void(out, types.uint64, impacts, types.uint16), generate


@intrinsic
def bound_increments(typing_context: Any, increments: Any, at: Any, docs: Any, parts: Any, upper: Any) -> Any:
    """By how much each of LANES postings raises its block's bound, into increments[at + i].

    increments, docs and parts uint16, all indexed from ``at`` on; upper uint16 has the bits above those within a block. A
    posting's part counts as far as it is above the parts of the BEHIND postings before it, where these are of its block.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow = ir.VectorType(ir.IntType(16), LANES)
        zeros = ir.Constant(narrow, [0] * LANES)
        upper_bits = everywhere(builder, arguments[4], LANES)

        def load(which: int, before: int) -> Any:
            first = builder.sub(arguments[1], ir.Constant(ir.IntType(64), before))
            return builder.load(vector(context, builder, signature, arguments, which, first, LANES), align=2)

        def larger(a: Any, b: Any) -> Any:
            return builder.select(builder.icmp_unsigned(">", a, b), a, b)

        doc, previous = load(2, 0), zeros
        for before in range(1, BEHIND + 1):
            apart = builder.and_(builder.xor(doc, load(2, before)), upper_bits)
            previous = larger(previous, builder.select(builder.icmp_unsigned("==", apart, zeros), load(3, before), zeros))
        increment = builder.sub(larger(load(3, 0), previous), previous)
        builder.store(increment, vector(context, builder, signature, arguments, 0, arguments[1], LANES), align=2)
        return context.get_dummy_value()

    return types.void(increments, types.uint64, docs, parts, types.uint16), generate


@intrinsic
def block_match_mask(typing_context: Any, docs: Any, first: Any, upper: Any, blocks: Any, base: Any) -> Any:
    """Which of the documents from docs[first] on are in one of four blocks: bit i of the uint64 is docs[first + i]'s.

    Looks at 64 documents of uint8, or at DECODED of uint16. upper, of the documents' type, has the bits above those within a
    block; the low four bytes of blocks, uint64, are the first documents of the blocks, counted from ``base``, uint64.
    """
    bits = docs.dtype.bitwidth
    lanes = 64 if bits == 8 else DECODED

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.load(vector(context, builder, signature, arguments, 0, arguments[1], lanes), align=bits // 8)
        mine = builder.and_(found, everywhere(builder, arguments[2], lanes))
        either = None
        for q in range(4):
            shifted = builder.lshr(arguments[3], ir.Constant(ir.IntType(64), q * 8))
            block = builder.or_(builder.and_(shifted, ir.Constant(ir.IntType(64), 255)), arguments[4])
            same = builder.icmp_unsigned("==", mine, everywhere(builder, builder.trunc(block, ir.IntType(bits)), lanes))
            either = same if either is None else builder.or_(either, same)
        return _mask(builder, either, lanes)

    return types.uint64(docs, types.uint64, docs.dtype, types.uint64, types.uint64), generate


@intrinsic
def below_mask(typing_context: Any, values: Any, first: Any, limit: Any) -> Any:
    """Which of LANES values are below a limit: bit i of the uint64 is values[first + i] < limit, both of uint16."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.load(vector(context, builder, signature, arguments, 0, arguments[1], LANES), align=2)
        return _mask(builder, builder.icmp_unsigned("<", found, everywhere(builder, arguments[2], LANES)), LANES)

    return types.uint64(values, types.uint64, types.uint16), generate


def _mask(builder: Any, lanes: Any, count: int) -> Any:
    return builder.zext(builder.bitcast(lanes, ir.IntType(count)), ir.IntType(64))


@intrinsic
def load_word(typing_context: Any, text: Any, first: Any) -> Any:
    """The eight bytes of text, uint8, from index ``first`` on, as a uint64 whose lowest byte is the first."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bytes_there = builder.load(vector(context, builder, signature, arguments, 0, arguments[1], 8), align=1)
        return builder.bitcast(bytes_there, ir.IntType(64))

    return types.uint64(text, types.uint64), generate


@intrinsic
def count_bits(typing_context: Any, bits: Any) -> Any:
    """How many bits of a uint64 are set."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@intrinsic
def lowest_bit(typing_context: Any, bits: Any) -> Any:
    """The number of the lowest bit that is set in a uint64 other than 0."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate
