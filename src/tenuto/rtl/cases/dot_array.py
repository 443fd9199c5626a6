"""Merged tiles of random masks with random operands."""

import numpy as np

from tenuto.conmerge_timing import DotArray as Size
from tenuto.golden.conmerge import Packing
from tenuto.golden.conmerge import pack as golden_pack
from tenuto.golden.conmerge_array import execute
from tenuto.rtl.dot_array import DotArray
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack


def case_from(size: Size, random: np.random.Generator, shape: tuple[int, int], depth: int) -> Case:
    """Return the merged tiles of a mask with a fifth of the outputs needed.

    The expected sums are those of `golden.conmerge_array.execute`, looked up by each unit's
    output. A vector is a product.
    """
    mask = random.random(shape) < 0.2
    most = 2 ** (size.bits - 1)
    inputs = random.integers(-most, most, (shape[0], depth))
    weights = random.integers(-most, most, (depth, shape[1]))
    packing = golden_pack(mask, size.rows, size.lanes, size.merge_limit)
    outputs = execute(packing, inputs, weights)
    return Case(
        unit=lambda: DotArray(size),
        inputs=pack(_beats(size, packing, inputs, weights)),
        outputs=pack([(_sums(size, packing, outputs), size.result_bits)]),
        vectors=packing.num_tiles * size.rows * size.lanes * depth,
        cycles=size.cycles(packing.num_tiles, depth),
    )


def _beats(size: Size, packing: Packing, inputs: np.ndarray, weights: np.ndarray) -> list:
    """Return the fields of the tiles' beats; each tile's plan comes with all of its beats."""
    beats = inputs.shape[1] // size.dot_length
    tiles = packing.num_tiles
    rows = packing.block[:, None] * size.rows + np.arange(size.rows)
    operands = inputs[rows].reshape(tiles, size.rows, beats, size.dot_length)
    columns = packing.columns.swapaxes(1, 2).reshape(tiles, -1)  # (tiles, lanes * members)
    held = weights.T[np.maximum(columns, 0)].reshape(tiles, -1, beats, size.dot_length)
    member_bits = (size.merge_limit - 1).bit_length()
    select = packing.select.swapaxes(1, 2).astype(np.int64)
    moved = packing.moved.swapaxes(1, 2).astype(np.int64)
    unit = (select >= 0) | (np.maximum(select, 0) << 1) | (moved << (1 + member_bits))
    return [
        (operands.swapaxes(1, 2).reshape(tiles * beats, -1), size.bits),
        (held.swapaxes(1, 2).reshape(tiles * beats, -1), size.bits),
        (np.repeat(unit.reshape(tiles, -1), beats, axis=0), 2 + member_bits),
        (np.repeat(np.maximum(packing.alternative, 0), beats, 0), (size.rows - 1).bit_length()),
        (np.tile(np.arange(beats) == beats - 1, tiles), 1),
    ]


def _sums(size: Size, packing: Packing, outputs: np.ndarray) -> np.ndarray:
    """Return (tiles, lanes * rows) what each unit puts out."""
    tile, line, lane = np.nonzero(packing.select >= 0)
    sums = np.zeros((packing.num_tiles, size.lanes, size.rows), np.int64)
    row, column = packing.outputs.T
    sums[tile, lane, line] = outputs[row, column]
    return sums.reshape(packing.num_tiles, -1)


def small(random: np.random.Generator) -> Case:
    """Return an array of 4 x 4 with 2 operands a cycle, on 8 x 24 outputs of depth 6."""
    size = Size(rows=4, lanes=4, dot_length=2, bits=6, max_depth=8)
    return case_from(size, random, (8, 24), 6)


def large(random: np.random.Generator) -> Case:
    """Return an array of 8 x 8 with 2 operands a cycle, on 512 x 512 outputs of depth 16."""
    size = Size(rows=8, lanes=8, dot_length=2, bits=12, max_depth=16)
    return case_from(size, random, (512, 512), 16)
