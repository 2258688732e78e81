"""The two steps that numba cannot be talked into by itself: counting bits, and comparing 64 rows at once."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils

from services.dedup.index.compiled import instruction

BLOCK_ROWS = 1024
"""Rows stand in blocks, in each one array a 64-bit word: 32 KB at 256 bits, so a block stays in a core's
first cache while a batch of queries is compared with it."""
LANES = 64
"""Rows compared at once: the answer is one 64-bit mask."""

_I64 = ir.IntType(64)
_VECTOR = ir.VectorType(_I64, LANES)


@instruction
def bits_set(_typing: Any, _word: Any) -> Any:
    """Number of ones in a uint64: one instruction where the processor has it."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@instruction
def lowest_set(_typing: Any, _word: Any) -> Any:
    """Number of zeros below the lowest one of a uint64 that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@instruction
def fetch_early(_typing: Any, array: Any, _offset: Any) -> Any:
    """Have the entry at ``offset`` of an array brought from memory while the processor goes on.

    Harmless past the array's end.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        held = context.make_array(signature.args[0])(context, builder, args[0])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        prefetch = _from_llvm(builder, "llvm.prefetch.p0", kind)
        address = builder.bitcast(builder.gep(held.data, [args[1]]), byte)
        read, keep, data = number(0), number(3), number(1)
        builder.call(prefetch, [address, read, keep, data])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@instruction
def rows_within(
    _typing: Any, blocks: Any, _block: Any, _first: Any, queries: Any, _query: Any, _limit: Any
) -> Any:
    """Mask of 64 rows of ``blocks[block]``, from ``first`` on, that are within ``limit`` bits of a query.

    ``blocks`` has shape (n, words, BLOCK_ROWS), ``queries`` (n, words); ``first`` is a multiple of 64.
    Written for vectors by hand, because LLVM by itself takes half the width of AVX-512.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows = context.make_array(signature.args[0])(context, builder, args[0])
        asked = context.make_array(signature.args[3])(context, builder, args[3])
        words = builder.extract_value(rows.shape, 1)
        block_start = builder.mul(builder.mul(args[1], words), _I64(BLOCK_ROWS))
        first_word = builder.add(block_start, args[2])
        first_asked = builder.mul(args[4], words)
        before, loop = builder.block, builder.append_basic_block("word")
        builder.branch(loop)
        builder.position_at_end(loop)
        word, apart = builder.phi(_I64), builder.phi(_VECTOR)
        at = builder.gep(rows.data, [builder.add(first_word, builder.mul(word, _I64(BLOCK_ROWS)))])
        stored = builder.load(builder.bitcast(at, _VECTOR.as_pointer()), align=8)
        wanted = builder.load(builder.gep(asked.data, [builder.add(first_asked, word)]))
        differing = builder.xor(stored, _in_all_lanes(builder, wanted))
        count = _from_llvm(builder, f"llvm.ctpop.v{LANES}i64", ir.FunctionType(_VECTOR, [_VECTOR]))
        total = builder.add(apart, builder.call(count, [differing]))
        following = builder.add(word, _I64(1))
        word.add_incoming(_I64(0), before)
        word.add_incoming(following, loop)
        apart.add_incoming(ir.Constant(_VECTOR, [0] * LANES), before)
        apart.add_incoming(total, loop)
        done = builder.append_basic_block("done")
        builder.cbranch(builder.icmp_unsigned("<", following, words), loop, done)
        builder.position_at_end(done)
        within = builder.icmp_unsigned("<=", total, _in_all_lanes(builder, args[5]))
        return builder.bitcast(within, _I64)

    signature = types.uint64(blocks, types.int64, types.int64, queries, types.int64, types.uint64)
    return signature, generate


def _from_llvm(builder: Any, name: str, kind: Any) -> Any:
    return cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]


def _in_all_lanes(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    lane = builder.insert_element(undefined, value, ir.IntType(32)(0))
    return builder.shuffle_vector(
        lane, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    )
