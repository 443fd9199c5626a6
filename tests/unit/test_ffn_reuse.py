"""The setting of FFN-Reuse and when its iterations are dense."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.algorithms.ffn_reuse import FFNReuse

counts = st.integers(1, 6)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"sparsity": 1.0}, r"^`sparsity` must be in \[0, 1\), got 1\.0$"),
        ({"sparsity": -0.1}, r"^`sparsity` must be in \[0, 1\), got -0\.1$"),
        ({"sparsity": float("nan")}, r"^`sparsity` must be in \[0, 1\), got nan$"),
        ({"interval": 0}, r"^`interval` must be an integer of at least 1, got 0$"),
        ({"warmup": 0}, r"^`warmup` must be an integer of at least 1, got 0$"),
        ({"tile_rows": 0}, r"^`tile_rows` must be an integer of at least 1, got 0$"),
    ],
)
def test_a_value_out_of_its_range_is_refused(values, text):
    with pytest.raises(ValueError, match=text):
        FFNReuse(**values)


def test_sparsity_zero_and_interval_one_are_off_and_others_are_not():
    assert FFNReuse.neutral().is_off
    assert FFNReuse(interval=1).is_off
    assert not FFNReuse(sparsity=0.01, interval=2).is_off


def test_the_papers_setting_skips_the_lower_end_of_what_the_paper_skips():
    paper = FFNReuse.paper()

    skipped = paper.sparsity * (paper.interval - 1) / paper.interval
    assert skipped == pytest.approx(0.5247, abs=0.002)
    assert (paper.granularity, paper.select, paper.warmup) == ("element", "magnitude", 1)


@given(interval=counts, warmup=counts)
def test_dense_iterations_are_the_first_ones_and_every_interval_th_from_the_last_of_them(
    interval, warmup
):
    setting = FFNReuse(interval=interval, warmup=warmup)
    marked_at, dense = None, []
    for step in range(30):
        if not setting.is_sparse(step, marked_at):
            dense.append(step)
            marked_at = step if setting.marks_at(step, 30) else marked_at

    first = list(range(warmup))
    assert dense == first + list(range(warmup - 1 + interval, 30, interval))


@given(warmup=counts, num_steps=st.integers(1, 20))
def test_marks_are_made_unless_the_next_step_is_in_the_warmup_or_past_the_end(warmup, num_steps):
    setting = FFNReuse(warmup=warmup)

    for step in range(num_steps):
        is_next_free = warmup <= step + 1 < num_steps
        assert setting.marks_at(step, num_steps) == is_next_free
        assert setting.marks_at(step, None) == (warmup <= step + 1)
