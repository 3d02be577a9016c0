"""Jobs in their thread: four outcomes, cancelling, newest wins."""

from __future__ import annotations

import threading
import time

import pytest
from pytestqt.qtbot import QtBot

from cellseg_app.core.errors import InputError
from cellseg_app.core.progress import Progress
from cellseg_app.workers.jobs import Crash, JobContext
from cellseg_app.workers.lane import Lane


def endless(context: JobContext) -> None:
    while True:
        context.cancel.raise_if_cancelled()
        time.sleep(0.002)


def test_a_result_arrives_from_another_thread(lane: Lane, qtbot: QtBot) -> None:
    handle = lane.submit("name", lambda _: threading.get_ident())
    with qtbot.waitSignal(handle.finished) as blocker:
        pass
    assert blocker.args[0] != threading.get_ident()
    assert not lane.busy


def test_jobs_run_in_order(lane: Lane, qtbot: QtBot) -> None:
    done: list[int] = []
    handles = [lane.submit(str(n), lambda _, n=n: done.append(n)) for n in range(5)]
    with qtbot.waitSignal(handles[-1].ended):
        pass
    assert done == [0, 1, 2, 3, 4]


def test_an_expected_failure_is_told_apart_from_a_bug(lane: Lane, qtbot: QtBot) -> None:
    def refuse(_: JobContext) -> None:
        raise InputError("It is no volume.", "Give another.")

    def stumble(_: JobContext) -> None:
        raise KeyError("forgotten")

    expected = lane.submit("a", refuse)
    with qtbot.waitSignal(expected.failed) as blocker:
        pass
    assert isinstance(blocker.args[0], InputError)
    bug = lane.submit("Counting", stumble)
    crashes: list[object] = []
    bug.crashed.connect(crashes.append)
    with qtbot.waitSignal(lane.crashed):
        pass
    (crash,) = crashes
    assert isinstance(crash, Crash)
    assert crash.title == "Counting"
    assert "stumble" in crash.traceback
    again = lane.submit("c", lambda _: "still works")
    with qtbot.waitSignal(again.finished):
        pass


def test_lack_of_memory_is_an_expected_failure(lane: Lane, qtbot: QtBot) -> None:
    def greedy(_: JobContext) -> None:
        raise MemoryError

    handle = lane.submit("a", greedy)
    with qtbot.waitSignal(handle.failed) as blocker:
        pass
    assert "memory" in str(blocker.args[0]).lower()


def test_cancel_ends_the_job_under_way_and_those_waiting(lane: Lane, qtbot: QtBot) -> None:
    running, waiting = lane.submit("a", endless), lane.submit("b", endless)
    with qtbot.waitSignals([running.cancelled, waiting.cancelled]):
        lane.cancel_all()


def test_the_newest_request_replaces_older_ones(lane: Lane, qtbot: QtBot) -> None:
    results: list[object] = []
    for n in range(4):
        handle = lane.submit_latest("slider", lambda context, n=n: (context.progress, n)[1])
        handle.finished.connect(results.append)
    with qtbot.waitSignal(handle.ended):
        pass
    assert results == [3]


def test_progress_is_thinned_but_its_end_always_arrives(lane: Lane, qtbot: QtBot) -> None:
    def work(context: JobContext) -> None:
        for done in range(1, 2001):
            context.progress(Progress("network", done, 2000))

    reports: list[Progress] = []
    handle = lane.submit("a", work)
    handle.progressed.connect(reports.append)
    with qtbot.waitSignal(handle.ended):
        pass
    assert reports[-1].done == 2000
    assert len(reports) < 200


@pytest.mark.parametrize("n_jobs", [0, 3])
def test_stopping_leaves_no_thread(qtbot: QtBot, n_jobs: int) -> None:
    lane = Lane("short")
    for _ in range(n_jobs):
        lane.submit("a", endless)
    assert lane.stop()
    assert not lane._thread.isRunning()
