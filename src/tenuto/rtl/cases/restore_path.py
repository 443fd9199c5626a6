"""Bitmaps of kept tokens with empty words, and windows of computed and predicted rows."""

import numpy as np

from tenuto import hardware_timing
from tenuto.golden.restore import restore
from tenuto.rtl.gather import GatherAddresses
from tenuto.rtl.ladder import Case
from tenuto.rtl.packing import pack
from tenuto.rtl.restore import Restore


def _gather_case(
    size: hardware_timing.Gather, random: np.random.Generator, num_words: int, share: float
) -> Case:
    """Return one bitmap after the other, as many as `num_words` words hold.

    A vector is an address.
    """
    words_each = size.max_tokens // size.word_bits
    kept = random.random((num_words, size.word_bits)) < share
    kept[random.random(num_words) < 0.2] = False
    kept[-1, 0] = True
    position = np.arange(num_words)
    token = np.nonzero(kept.reshape(-1, size.max_tokens))[1]
    addresses = token[:, None] * size.row_beats + np.arange(size.row_beats)
    bits = (size.max_tokens * size.row_beats - 1).bit_length()
    return Case(
        unit=lambda: GatherAddresses(size),
        inputs=pack([(kept, 1), (position % words_each == words_each - 1, 1)]),
        outputs=pack([(addresses.reshape(-1), bits)]),
        vectors=addresses.size,
        cycles=size.cycles(kept.sum(axis=1).tolist()),
    )


def small_gather(random: np.random.Generator) -> Case:
    """Return 4 bitmaps of 20 tokens in words of 5, rows of 3 beats."""
    size = hardware_timing.Gather(word_bits=5, max_tokens=20, row_beats=3)
    return _gather_case(size, random, 16, 0.4)


def large_gather(random: np.random.Generator) -> Case:
    """Return 64 bitmaps of 4,096 tokens, about half of them kept: a million addresses."""
    size = hardware_timing.Gather(word_bits=32, max_tokens=4_096, row_beats=10)
    return _gather_case(size, random, 64 * 128, 0.5)


def _restore_case(
    size: hardware_timing.Restore, random: np.random.Generator, num_windows: int, num_tokens: int
) -> Case:
    """Return windows with random partners, half of them with correction; a vector is a beat."""
    num_computed, beats, most = size.num_places, size.row_beats, 2 ** (size.bits - 1)
    inputs, outputs = [], []
    for window in range(num_windows):
        corrects = window % 2 == 0
        predicted = random.integers(-most, most, (num_tokens, beats * size.lanes))
        computed = random.integers(-most, most, (num_computed, beats * size.lanes))
        is_kept = random.permutation(num_tokens)[:num_computed]
        place = random.integers(0, num_computed, num_tokens)
        place[is_kept] = np.arange(num_computed)
        rows = ((1, np.arange(num_computed), is_kept), (0, place, np.arange(num_tokens)))
        for is_computed, places, tokens in rows:
            address = places[:, None] * beats + np.arange(beats)
            values = computed if is_computed else np.zeros_like(predicted)
            flags = np.full(address.size, is_computed), np.full(address.size, corrects)
            own = predicted[tokens].reshape(-1, size.lanes)
            inputs.append((*flags, address.reshape(-1), values.reshape(-1, size.lanes), own))
        restored = restore(computed, predicted, is_kept, place, size.bits, corrects=corrects)
        outputs.append(restored.reshape(-1, size.lanes))
    address_bits = (size.num_places * beats - 1).bit_length()
    widths = (1, 1, address_bits, size.bits, size.bits)
    columns = [np.concatenate(column) for column in zip(*inputs, strict=True)]
    return Case(
        unit=lambda: Restore(size),
        inputs=pack(list(zip(columns, widths, strict=True))),
        outputs=pack([(np.concatenate(outputs), size.bits)]),
        vectors=len(columns[0]),
        cycles=num_windows * size.cycles(num_computed, num_tokens)
        - (num_windows - 1) * size.latency_cycles,
    )


def small_restore(random: np.random.Generator) -> Case:
    """Return 4 windows of 6 tokens, 3 of them computed, 2 beats of 2 lanes of 5 bits."""
    size = hardware_timing.Restore(lanes=2, bits=5, num_places=3, row_beats=2)
    return _restore_case(size, random, num_windows=4, num_tokens=6)


def large_restore(random: np.random.Generator) -> Case:
    """Return 1,000 windows of 256 tokens, half of them computed, 3 beats: a million beats."""
    size = hardware_timing.Restore(lanes=8, bits=16, num_places=128, row_beats=3)
    return _restore_case(size, random, num_windows=1_000, num_tokens=256)
