"""What can be given as a scheduler: addresses, numbers of workers, files of batch systems."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("distributed")

from cellseg_app.cluster.batch_jobs import batch_jobs
from cellseg_app.cluster.connect import cluster_at
from cellseg_app.core.errors import InputError, SettingsError
from cellseg_app.core.scheduler import parse_scheduler

# A cluster that refuses its options is never told to close.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.mark.parametrize("text", ["", "local", "local:0", "local:x", "host:8786", "slurm", "foo:a"])
def test_addresses_that_are_none_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match="local:4"):
        parse_scheduler(text)


def test_addresses_are_understood(tmp_path: Path) -> None:
    assert parse_scheduler("local:4").n_workers == 4
    assert parse_scheduler("tcp://10.0.0.1:8786").address == "tcp://10.0.0.1:8786"
    slurm = parse_scheduler(f"slurm:{tmp_path / 'p.yaml'}")
    assert (slurm.kind, slurm.options_path) == ("slurm", tmp_path / "p.yaml")


def test_a_scheduler_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cellseg_app.cluster.connect._CONNECT_S", 1)
    with (
        pytest.raises(SettingsError, match=r"127\.0\.0\.1:9\."),
        cluster_at("tcp://127.0.0.1:9", lambda _: None),
    ):
        pass


def test_jobs_of_a_batch_system_are_described_by_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = tmp_path / "partition.yaml"
    options.write_text("queue: gpu\ncores: 4\nmemory: 16GB\njobs: 0\n", encoding="utf-8")
    with batch_jobs(parse_scheduler(f"slurm:{options}")) as jobs:
        script = jobs.cluster.job_script()
    assert "#SBATCH -p gpu" in script
    assert "#SBATCH --cpus-per-task=4" in script
    for content, sentence in {
        "queue: [": "partition.*cannot be read",
        "colour: blue\ncores: 1\nmemory: 1GB\njobs: 0\n": "colour",
        "cores: 1\nmemory: 1GB\njobs: many\n": "`jobs` is 'many'",
        "gpu": "holds no options",
    }.items():
        options.write_text(content, encoding="utf-8")
        with (
            pytest.raises(InputError, match=sentence),
            batch_jobs(parse_scheduler(f"slurm:{options}")),
        ):
            pass
    with (
        pytest.raises(InputError, match=r"gone\.yaml.*cannot be read"),
        batch_jobs(parse_scheduler(f"pbs:{tmp_path / 'gone.yaml'}")),
    ):
        pass
    options.write_text("cores: 1\nmemory: 1GB\njobs: 2\n", encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path))
    for system, command in {"slurm": "sbatch", "lsf": "bsub"}.items():
        with (
            pytest.raises(SettingsError, match=f"no `{command}` .* login node"),
            batch_jobs(parse_scheduler(f"{system}:{options}")),
        ):
            pass
