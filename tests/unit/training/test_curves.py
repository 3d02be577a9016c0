"""The curves of a training: a table anyone reads, a picture that shows every judgement."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd

from cellseg_app.training.curves import LogRow, write_curves, write_log

_SVG = "{http://www.w3.org/2000/svg}"


def _row(step: int, loss: float, dice: float) -> LogRow:
    return LogRow(step, loss, dice, dice, dice, 1e-3)


def test_table_and_picture_hold_every_judgement(tmp_path: Path) -> None:
    log = [_row(0, math.nan, 0.5), _row(10, 0.4, 0.7), _row(20, 0.2, 0.9)]
    write_log(tmp_path / "log.csv", log)
    table = pd.read_csv(tmp_path / "log.csv")
    assert list(table["dice"]) == [0.5, 0.7, 0.9]
    assert math.isnan(table["loss"][0])
    write_curves(tmp_path / "curve.svg", log, "cells <of> mine & yours")
    picture = ET.parse(tmp_path / "curve.svg").getroot()
    lines = [line.get("points", "").split() for line in picture.iter(f"{_SVG}polyline")]
    assert [len(points) for points in lines] == [2, 3, 3]
    heights = [float(point.split(",")[1]) for point in lines[1]]
    assert heights[0] > heights[1] > heights[2]
    texts = {text.text: float(text.get("y", "0")) for text in picture.iter(f"{_SVG}text")}
    assert "cells <of> mine & yours" in texts
    assert abs(texts["Dice"] - texts["F1 at IoU 0.5"]) >= 12


def test_without_labels_the_score_is_drawn_and_without_judgements_nothing(tmp_path: Path) -> None:
    write_curves(tmp_path / "none.svg", [], "x")
    assert not (tmp_path / "none.svg").exists()
    nan = math.nan
    log = [LogRow(1, 0.5, -1.5, nan, nan, 1e-3), LogRow(2, 0.4, -1.2, nan, nan, 1e-3)]
    write_curves(tmp_path / "score.svg", log, "x")
    picture = ET.parse(tmp_path / "score.svg").getroot()
    assert "score" in {text.text for text in picture.iter(f"{_SVG}text")}
