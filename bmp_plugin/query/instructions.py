"""Instructions that numba has no words for.

Those that read or write arrays do so without a look at their bounds, but for ``NUMBA_BOUNDSCHECK=1``; see :mod:`..kernels`.
"""
from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LANES = 32               # values that instructions for many take at once
BEHIND = 3               # postings that may be in the block of the one after them, in blocks of at most 4 documents


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


def _vector(context: Any, builder: Any, signature: Any, arguments: Any, which: int, bits: int, lanes: int,
            before: int = 0) -> Any:
    """A pointer to ``lanes`` elements of ``bits`` bits: argument ``which`` is the array, the one after it where they begin,
    or rather ``before`` elements before it."""
    array = context.make_array(signature.args[which])(context, builder, arguments[which])
    first = builder.sub(arguments[which + 1], ir.Constant(ir.IntType(64), before))
    if context.enable_boundscheck:
        [size] = cgutils.unpack_tuple(builder, array.shape, 1)
        for index in (first, builder.add(first, ir.Constant(first.type, lanes - 1))):
            cgutils.do_boundscheck(context, builder, index, size)
    kind = ir.VectorType(ir.IntType(bits), lanes)
    return builder.bitcast(builder.gep(array.data, [first]), kind.as_pointer())


def _everywhere(builder: Any, value: Any, lanes: int) -> Any:
    """A vector of one value."""
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined), value,
                                 ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes))


@intrinsic
def weigh_lanes(typing_context: Any, out: Any, at: Any, impacts: Any, first: Any, weight: Any) -> Any:
    """out[at + i] = (impacts[first + i] * weight >> 8) + 1 for LANES of them, modulo 2^16.

    out uint16, impacts uint8, weight uint16, the indices uint64. The upper half of a product of two numbers of 16 bits is
    an instruction that compilers find only if nothing is in its way, and not at all in an unrolled loop.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow, wide = (ir.VectorType(ir.IntType(bits), LANES) for bits in (16, 32))
        read = _vector(context, builder, signature, arguments, 2, 8, LANES)
        lifted = builder.shl(builder.zext(builder.load(read, align=1), narrow), ir.Constant(narrow, [8] * LANES))
        factor = _everywhere(builder, arguments[4], LANES)
        product = builder.mul(builder.zext(lifted, wide), builder.zext(factor, wide))
        high = builder.trunc(builder.lshr(product, ir.Constant(wide, [16] * LANES)), narrow)
        builder.store(builder.add(high, ir.Constant(narrow, [1] * LANES)),
                      _vector(context, builder, signature, arguments, 0, 16, LANES), align=2)
        return context.get_dummy_value()

    return types.void(out, types.uint64, impacts, types.uint64, types.uint16), generate


@intrinsic
def raise_lanes(typing_context: Any, rises: Any, at: Any, docs: Any, docs_at: Any, parts: Any, parts_at: Any,
                upper: Any) -> Any:
    """By how much each of LANES postings raises its block, the BEHIND before it having done so: into rises[at + i].

    rises, docs and parts uint16, the indices uint64; upper uint16 has the bits above those within a block. A posting's part
    counts as far as it is above those of its block before it. Compilers find this only for some processors.
    """
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow = ir.VectorType(ir.IntType(16), LANES)
        zeros = ir.Constant(narrow, [0] * LANES)
        upper_bits = _everywhere(builder, arguments[6], LANES)

        def load(which: int, before: int) -> Any:
            return builder.load(_vector(context, builder, signature, arguments, which, 16, LANES, before), align=2)

        def larger(a: Any, b: Any) -> Any:
            return builder.select(builder.icmp_unsigned(">", a, b), a, b)

        doc, had = load(2, 0), zeros
        for before in range(1, BEHIND + 1):
            apart = builder.and_(builder.xor(doc, load(2, before)), upper_bits)
            had = larger(had, builder.select(builder.icmp_unsigned("==", apart, zeros), load(4, before), zeros))
        rise = builder.sub(larger(load(4, 0), had), had)
        builder.store(rise, _vector(context, builder, signature, arguments, 0, 16, LANES), align=2)
        return context.get_dummy_value()

    return types.void(rises, types.uint64, docs, types.uint64, parts, types.uint64, types.uint16), generate


@intrinsic
def add_up(typing_context: Any, out: Any, at: Any, gaps: Any, first: Any, before: Any) -> Any:
    """out[at + i] = before + gaps[first] + ... + gaps[first + i] for 16 of them, modulo 2^16; returns the last, uint64.

    out uint16, gaps uint8, the numbers uint64. In four steps, each of which adds to every sum the one so many places
    before it: a compiler does not see that sums of all that came before can be made side by side.
    """
    lanes = 16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        narrow, index = ir.VectorType(ir.IntType(16), lanes), ir.IntType(32)
        sums = builder.load(_vector(context, builder, signature, arguments, 2, 8, lanes), align=1)
        sums = builder.zext(sums, narrow)
        zeros = ir.Constant(narrow, [0] * lanes)
        for step in (1, 2, 4, 8):
            shifted = ir.Constant(ir.VectorType(index, lanes), [max(i - step, -1) % (lanes + 1) for i in range(lanes)])
            sums = builder.add(sums, builder.shuffle_vector(sums, zeros, shifted))
        sums = builder.add(sums, _everywhere(builder, builder.trunc(arguments[4], ir.IntType(16)), lanes))
        builder.store(sums, _vector(context, builder, signature, arguments, 0, 16, lanes), align=2)
        return builder.zext(builder.extract_element(sums, ir.Constant(index, lanes - 1)), ir.IntType(64))

    return types.uint64(out, types.uint64, gaps, types.uint64, types.uint64), generate


@intrinsic
def in_blocks(typing_context: Any, docs: Any, first: Any, upper: Any, blocks: Any) -> Any:
    """Which of the documents from docs[first] on are in one of four blocks: bit i of the uint64 is docs[first + i]'s.

    Of 64 documents of uint8, or 16 of uint16. ``first`` is uint64; upper, of the documents' type, has the bits
    above those within a block; blocks uint64 has the blocks' first documents, of that type, the first one lowest.
    """
    bits = docs.dtype.bitwidth
    lanes = 64 if bits == 8 else 16

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.load(_vector(context, builder, signature, arguments, 0, bits, lanes), align=bits // 8)
        mine = builder.and_(found, _everywhere(builder, arguments[2], lanes))
        either = None
        for q in range(4):
            shifted = builder.lshr(arguments[3], ir.Constant(ir.IntType(64), q * bits))
            block = _everywhere(builder, builder.trunc(shifted, ir.IntType(bits)), lanes)
            same = builder.icmp_unsigned("==", mine, block)
            either = same if either is None else builder.or_(either, same)
        return _mask(builder, either, lanes)

    return types.uint64(docs, types.uint64, docs.dtype, types.uint64), generate


@intrinsic
def below(typing_context: Any, values: Any, first: Any, limit: Any) -> Any:
    """Which of LANES values are below a limit: bit i of the uint64 is values[first + i] < limit, both of uint16."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        found = builder.load(_vector(context, builder, signature, arguments, 0, 16, LANES), align=2)
        return _mask(builder, builder.icmp_unsigned("<", found, _everywhere(builder, arguments[2], LANES)), LANES)

    return types.uint64(values, types.uint64, types.uint16), generate


def _mask(builder: Any, lanes: Any, count: int) -> Any:
    return builder.zext(builder.bitcast(lanes, ir.IntType(count)), ir.IntType(64))


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
