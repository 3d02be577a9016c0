from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cellseg_app.core.blocks import PlacedArray
from cellseg_app.core.box import box_text, on_other_lattice, parse_box, resolve_box
from cellseg_app.core.settings import RegionSettings


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1:5,2:6,3:7", "1:5,2:6,3:7"),
        (" [ :, 10: , :20 ] ", ":,10:,:20"),
        ("(0:4, 0:4, 0:4)", "0:4,0:4,0:4"),
    ],
)
def test_boxes_are_read_as_people_write_them(text: str, meant: str) -> None:
    assert RegionSettings(box=text).box == meant


@pytest.mark.parametrize(
    "text", ["1:5,2:6", "5:1,:,:", "-1:4,:,:", "a:b,:,:", "1:2:3,:,:", "7,:,:"]
)
def test_what_is_no_box_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match=r"region is three ranges|ends before"):
        RegionSettings(box=text)


def test_an_empty_box_means_everything() -> None:
    assert RegionSettings(box="  ", mask="").is_whole


def test_boxes_end_with_the_volume() -> None:
    region = resolve_box("2:99,:,:3", (10, 20, 30))
    assert region == (slice(2, 10), slice(0, 20), slice(0, 3))
    assert parse_box(box_text(region)) == "2:10,0:20,0:3"
    assert resolve_box("10:,:,:", (10, 20, 30)) is None


def test_a_region_on_another_lattice_covers_the_same_place() -> None:
    region = (slice(3, 7), slice(0, 10), slice(9, 10))
    assert on_other_lattice(region, (10, 10, 10), (20, 5, 3)) == (
        slice(6, 14),
        slice(0, 5),
        slice(2, 3),
    )


@given(data=st.data())
def test_a_placed_part_reads_as_the_whole_with_zeros_around(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * 3))
    starts = [data.draw(st.integers(0, n - 1)) for n in shape]
    stops = [data.draw(st.integers(a + 1, n)) for a, n in zip(starts, shape, strict=True)]
    z, y, x = (slice(a, b) for a, b in zip(starts, stops, strict=True))
    whole = np.zeros((2, *shape), np.uint16)
    part = 1 + np.arange(2 * (z.stop - z.start) * (y.stop - y.start) * (x.stop - x.start))
    whole[:, z, y, x] = part.reshape(whole[:, z, y, x].shape)
    placed = PlacedArray(whole[:, z, y, x], (z, y, x), shape)
    key = tuple(
        slice(
            data.draw(st.integers(0, n)), data.draw(st.integers(0, n)), data.draw(st.integers(1, 3))
        )
        for n in (2, *shape)
    )
    np.testing.assert_array_equal(placed[key], whole[key])
