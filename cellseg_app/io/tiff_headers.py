"""Whether a TIFF's page headers are all there: a file cut short most often misses the later ones.

tifffile only logs that and goes on with the pages and tags it finds, so that a stack would lose
planes, or its axes, without a word.
"""

from __future__ import annotations

import struct
from pathlib import Path

import tifffile

from cellseg_app.io.refusals import cut_short

# Description, and where and how long the strips and tiles are. Other tags may be broken at will.
_NEEDED_TAGS = {270, 273, 279, 324, 325}
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TYPE_BYTES |= {16: 8, 17: 8, 18: 8}


def refuse_missing_headers(tif: tifffile.TiffFile, path: Path) -> None:
    """Follow the chain of page headers to its end (TIFF 6.0, section 2; BigTIFF alike).

    Raises
    ------
    InputError
        If a header, or a value that one needs, lies beyond the end of the file.
    """
    if tif.is_ndpi or tif.is_lsm or tif.is_mdgel:
        # These store 64 bit offsets in ways of their own.
        return
    chain = _Chain(tif)
    offset, seen = chain.first(), set[int]()
    while offset and offset not in seen:
        try:
            following = chain.next_after(offset)
        except (struct.error, EOFError) as error:
            raise cut_short(path, f"the header of plane {len(seen)} is incomplete") from error
        seen.add(offset)
        offset = following


class _Chain:
    def __init__(self, tif: tifffile.TiffFile) -> None:
        self._file = tif.filehandle
        self._big = bool(tif.is_bigtiff)
        order = tif.byteorder
        self._count = struct.Struct(order + ("Q" if self._big else "H"))
        self._tag = struct.Struct(order + ("HHQQ" if self._big else "HHII"))
        self._offset = struct.Struct(order + ("Q" if self._big else "I"))

    def first(self) -> int:
        self._file.seek(8 if self._big else 4)
        return int(self._offset.unpack(self._file.read(self._offset.size))[0])

    def next_after(self, offset: int) -> int:
        self._file.seek(offset)
        (n_tags,) = self._count.unpack(self._file.read(self._count.size))
        if n_tags * self._tag.size > self._file.size:
            msg = "the header is longer than the file"
            raise EOFError(msg)
        tags = self._file.read(n_tags * self._tag.size)
        (following,) = self._offset.unpack(self._file.read(self._offset.size))
        for code, kind, count, value in self._tag.iter_unpack(tags):
            n_bytes = count * _TYPE_BYTES.get(kind, 1)
            inside = n_bytes <= self._offset.size or value + n_bytes <= self._file.size
            if code in _NEEDED_TAGS and not inside:
                msg = f"tag {code} lies beyond the end of the file"
                raise EOFError(msg)
        return int(following)
