"""The blocks of an OME-Zarr written here or by the processes of a cluster, each block once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cellseg_app.analysis.blockwise import BlockRunner, Threads
from cellseg_app.atomic import output_error
from cellseg_app.core.progress import StageProgress
from cellseg_app.core.volume import LazyArray
from cellseg_app.io.ome_zarr_layout import Block
from cellseg_app.io.ome_zarr_write import OmeZarrImage
from cellseg_app.pipeline.reporting import Reporting


def write_blocks(
    image: OmeZarrImage,
    data: LazyArray,
    *,
    stage: str,
    report: Reporting,
    runner: BlockRunner | None = None,
    done: Path | None = None,
) -> None:
    """Fill an image that was begun, level after level.

    Parameters
    ----------
    image, data
        What is filled, and with what.
    stage, report
        One step per block.
    runner
        Where blocks are written, if not here; `data` must then lie on disk.
    done
        A folder that notes which blocks stand, for a call repeated after an interruption.

    Raises
    ------
    Cancelled
        Between two blocks.
    OutputError
        The disk is full, or a value does not fit.
    """
    work = [_BlockWriting(image, n, data, done) for n in range(len(image.levels))]
    blocks = [level.blocks() for level in image.levels]
    left = [one.left_of(all_of) for one, all_of in zip(work, blocks, strict=True)]
    total = sum(map(len, blocks))
    steps = StageProgress(
        report.progress, stage, total, cancel=report.cancel, done=total - sum(map(len, left))
    )
    steps.check()
    for one, unwritten in zip(work, left, strict=True):
        # Each block makes use of all processors while it is compressed.
        for _ in (runner or Threads(1)).map(unwritten, one, waiting=steps.check):
            steps.advance()


@dataclass(frozen=True)
class _BlockWriting:
    """Writes blocks of one level, wherever it is called."""

    image: OmeZarrImage
    level: int
    data: LazyArray
    done: Path | None

    def __call__(self, block: Block) -> None:
        self.image.write(self.level, block, self.data)
        if self.done is not None:
            note = self._note(self.done, block)
            try:
                note.parent.mkdir(parents=True, exist_ok=True)
                note.touch()
            except OSError as error:
                raise output_error(note, error) from error

    def left_of(self, blocks: list[Block]) -> list[Block]:
        """Those that do not stand yet."""
        if self.done is None or not (self.done / str(self.level)).is_dir():
            return blocks
        known = {note.name for note in (self.done / str(self.level)).iterdir()}
        return [block for block in blocks if self._note(self.done, block).name not in known]

    def _note(self, done: Path, block: Block) -> Path:
        return done / str(self.level) / "_".join(str(part.start) for part in block)
