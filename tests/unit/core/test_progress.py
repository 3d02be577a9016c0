from __future__ import annotations

import pytest

from cellseg_app.core.errors import Cancelled, InputError
from cellseg_app.core.progress import CancelToken, Progress, StageProgress


def test_every_step_is_reported_with_its_speed() -> None:
    reports: list[Progress] = []
    stage = StageProgress(reports.append, "network", 3)
    for _ in range(3):
        stage.advance()
    assert [(r.done, r.total) for r in reports] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert reports[0].seconds_per_step is None
    assert reports[-1].remaining_s == 0


def test_steps_of_an_interrupted_run_do_not_count_for_the_speed() -> None:
    reports: list[Progress] = []
    StageProgress(reports.append, "network", 100, done=99).advance()
    assert reports[0].done == 99
    assert reports[-1].seconds_per_step is not None
    assert reports[-1].seconds_per_step < 1


def test_repeated_work_never_passes_the_end_of_the_bar() -> None:
    reports: list[Progress] = []
    stage = StageProgress(reports.append, "network", 2)
    stage.advance(5)
    assert reports[-1].done == reports[-1].total == 5


def test_cancelling_stops_at_the_next_step() -> None:
    cancel = CancelToken()
    stage = StageProgress(None, "network", 3, cancel=cancel)
    stage.advance()
    cancel.cancel()
    with pytest.raises(Cancelled):
        stage.advance()


def test_an_error_names_file_problem_and_remedy() -> None:
    error = InputError("It is a 2D image.", "Give a stack.", path="a.tif")
    assert str(error) == "a.tif: It is a 2D image. Give a stack."
