"""Rows are found by label id, whatever the order of the rows."""

from __future__ import annotations

import numpy as np
import pytest

from cellseg_app.core.cell_columns import LabelIndex


@pytest.mark.parametrize("is_sorted", [True, False])
def test_rows_are_found_as_by_looking_at_all(is_sorted: bool) -> None:
    rng = np.random.default_rng(0)
    labels = 3 * rng.permutation(500) + 1
    labels = np.sort(labels) if is_sorted else labels
    wanted = rng.integers(-5, 1600, 200)
    index = LabelIndex(labels)
    np.testing.assert_array_equal(index.has(wanted), np.isin(wanted, labels))
    np.testing.assert_array_equal(index.rows(wanted), np.flatnonzero(np.isin(labels, wanted)))


def test_without_rows_nothing_is_found() -> None:
    index = LabelIndex(np.zeros(0, np.int64))
    assert not index.has(np.array([0, 7])).any()
    assert len(index.rows(np.array([0, 7]))) == 0
