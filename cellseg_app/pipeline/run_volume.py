"""One volume through all stages: network, cells, measurements, files, record."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from cellseg_app.core.errors import InputError
from cellseg_app.core.results import RunFiles, RunResult
from cellseg_app.core.settings import RunSettings
from cellseg_app.core.sources import absolute, as_source
from cellseg_app.core.volume import LazyArray
from cellseg_app.inference.weights import LoadedNetwork
from cellseg_app.io.hashing import ContentHash, content_hash
from cellseg_app.io.naming import ResultNames, free_result_names, remove_results
from cellseg_app.io.run_record import RecordedInput, RunRecord, write_record
from cellseg_app.io.space import require_free_space, require_writable
from cellseg_app.pipeline.cells_stage import FoundCells, find_cells, scene_of
from cellseg_app.pipeline.image_files import open_probability
from cellseg_app.pipeline.kept_images import keep_image
from cellseg_app.pipeline.network_stage import (
    RunBlocks,
    run_network,
)
from cellseg_app.pipeline.placing import place_results
from cellseg_app.pipeline.preparing import Prepared, RunRequest, prepare
from cellseg_app.pipeline.recording import Finished, choices_of, complete_record, network_of
from cellseg_app.pipeline.remote_blocks import Cluster, run_remotely
from cellseg_app.pipeline.reporting import Reporting
from cellseg_app.pipeline.workspace import Workspace, fingerprint, input_identity

# What decides the network's output, and so whether an interrupted run may be taken up again.
_NETWORK_SECTIONS: Final = {"data", "region", "network", "inference", "size"}


def run_volume(
    request: RunRequest,
    loaded: LoadedNetwork,
    report: Reporting,
    cluster: Cluster | None = None,
) -> RunResult:
    """Run one volume and write all its results.

    A run of the same input, settings and weights that was interrupted is taken up where it
    stopped. With a cluster, its processes compute the blocks, and the results are the same.

    Raises
    ------
    UserError
        Something about the input or the settings must be changed.
    Cancelled
        The user asked to stop; nothing half-written stays but the workspace.
    """
    identity = identity_of_run(request.source, request.settings)
    workspace = open_workspace(request, loaded, identity)
    with report.stage("preparing"):
        taken_up = replace(request, settings=_as_begun(request.settings, workspace))
        ready = prepare(taken_up, loaded, report, workspace=workspace, cluster=cluster)
        session = ready.session
        workspace.remember(runtime=session.runtime, precision=session.precision)
    _announce(ready, report)
    require_free_space(request.output_folder, ready.estimate.disk_bytes)
    with ThreadPoolExecutor(1, "input-hash") as background:
        input_hash = background.submit(content_hash, request.source, cancel=report.cancel)
        with report.stage("network"):
            run_blocks = _elsewhere(taken_up, ready, workspace, cluster)
            probability = run_network(
                ready.session, workspace, report, ready.network_plan, run_blocks
            )
        path, cells = _results(request, ready, probability, workspace, report, cluster)
    notes = (*ready.notes, *_changes_since(identity, request, report))
    names = _names(request, ready, workspace)
    try:
        # Nothing of a run stands in the output folder until everything does.
        path, cells = place_results(names, path, cells)
        finished = Finished(request.started, names, path, cells, report.seconds, notes)
        record = _write_record(request, ready, finished, input_hash)
    except BaseException:
        remove_results(request.output_folder, names.stem)
        raise
    workspace.remove()
    return _result(record, finished, fingerprint(identity))


def _elsewhere(
    request: RunRequest, ready: Prepared, workspace: Workspace, cluster: Cluster | None
) -> RunBlocks | None:
    if cluster is None:
        return None
    return partial(
        run_remotely,
        ready.session,
        source=request.source,
        settings=request.settings,
        workspace=workspace,
        cluster=cluster,
    )


def _as_begun(settings: RunSettings, workspace: Workspace) -> RunSettings:
    """The settings, with the arithmetic of the part that is done already."""
    if not (workspace.slabs_done or workspace.remembered("blocks")):
        return settings
    begun = {key: workspace.remembered(key) for key in ("runtime", "precision")}
    fixed = {key: value for key, value in begun.items() if value}
    values = settings.model_dump()
    values["inference"].update(fixed)
    return RunSettings.model_validate(values)


def _names(request: RunRequest, ready: Prepared, workspace: Workspace) -> ResultNames:
    abandoned = workspace.remembered("stem")
    if abandoned:
        remove_results(request.output_folder, abandoned)
    names = free_result_names(
        request.output_folder,
        ready.volume.name,
        model=ready.session.card.architecture,
        when=request.started,
        pred_id=request.number,
        image_format=request.settings.output.format,
    )
    workspace.remember(stem=names.stem)
    return names


def _results(
    request: RunRequest,
    ready: Prepared,
    probability: LazyArray,
    workspace: Workspace,
    report: Reporting,
    cluster: Cluster | None,
) -> tuple[Path | None, list[FoundCells]]:
    with report.stage("saving probability"):
        path = _save_probability(request, ready, probability, workspace, report, cluster)
    # A resampled map is read from its file: resampling it again and again would cost more. So is
    # one that was rounded to bytes, or `resegment` would find other cells in it.
    from_file = (
        ready.output_shape_zyx != ready.session.lattice.shape_zyx
        or request.settings.output.stored_probability_dtype == "uint8"
    )
    scene = scene_of(
        open_probability(path)[0] if path and from_file else ready.on_output_lattice(probability),
        ready.on_output_lattice(ready.volume.data),
        ready.output_spacing_um_zyx,
        region=ready.output_region,
    )
    with report.stage("cells"):
        cells = find_cells(
            scene,
            request.settings,
            ready.cell_defaults,
            save=True,
            workspace=workspace,
            report=report,
            runner=cluster,
        )
    return path, cells


def open_workspace(
    request: RunRequest, loaded: LoadedNetwork, identity: Sequence[Any]
) -> Workspace:
    """The folder where this run's unfinished work lies, new or as an interrupted run left it.

    Parameters
    ----------
    request, loaded
        The run.
    identity
        Of what it reads, as `identity_of_run` told it.

    Raises
    ------
    OutputError
        The output folder cannot be written to.
    """
    require_writable(request.output_folder)
    decisive = request.settings.model_dump(mode="json", include=_NETWORK_SECTIONS)
    key = fingerprint(identity, decisive, loaded.sha256)
    return Workspace(request.output_folder, request.source.name, key)


def identity_of_run(source: Path, settings: RunSettings) -> list[Any]:
    """What tells that the files that a run reads are still the same."""
    of_volume = input_identity(source, level=settings.data.level)
    mask = settings.region.mask
    return [*of_volume, *([] if mask is None else input_identity(as_source(mask)))]


def _changes_since(
    identity: Sequence[Any], request: RunRequest, report: Reporting
) -> tuple[str, ...]:
    """Sentences where the input is no longer what it was when the run began."""
    name = request.source.name
    try:
        if identity_of_run(request.source, request.settings) == identity:
            return ()
        sentence = (
            f"{name} or its mask changed while the run was under way: the results may mix what "
            "was there before with what came after. Run it again."
        )
    except InputError as error:
        sentence = f"Whether {name} changed during the run could not be told: {error.problem}"
    report.say(sentence)
    return (sentence,)


def _announce(ready: Prepared, report: Reporting) -> None:
    for sentence in (*ready.notes, ready.estimate.sentence()):
        report.say(sentence)
    plan = ready.network_plan
    if plan is not None and plan.is_begun:
        done, total = plan.n_windows - plan.windows_left, plan.n_windows
        report.say(f"An interrupted run is taken up: {done} of {total} windows are done.")


def _save_probability(
    request: RunRequest,
    ready: Prepared,
    probability: LazyArray,
    workspace: Workspace,
    report: Reporting,
    cluster: Cluster | None,
) -> Path | None:
    output = request.settings.output
    if not output.save_probability:
        return None
    on_lattice, region = ready.on_output_lattice(probability), ready.output_region
    if region is not None:
        on_lattice = region.put_back(region.cut_and_masked(on_lattice))
    return keep_image(
        workspace.folder / "map",
        on_lattice,
        kind="probability",
        dtype=output.stored_probability_dtype,
        spacing_um_zyx=ready.output_spacing_um_zyx,
        output=output,
        stage="writing map",
        report=report,
        runner=cluster,
    )


def _write_record(
    request: RunRequest, ready: Prepared, finished: Finished, input_hash: Future[ContentHash]
) -> RunRecord:
    volume, session, known = ready.volume, ready.session, input_hash.result()
    record = complete_record(
        finished,
        settings=request.settings.with_absolute_paths(),
        recorded_input=RecordedInput(
            path=absolute(request.source),
            sha256=known.sha256,
            sampled_sha256=known.sampled_sha256,
            shape_zyx=volume.shape_zyx,
            dtype=str(volume.data.dtype),
            spacing_um_zyx=volume.spacing_um_zyx,
        ),
        network=network_of(session),
        choices=choices_of(
            session, volume.spacing_um_zyx, ready.region, ready.cell_defaults.refine_zyx
        ),
        estimate=ready.estimate.as_dict(),
    )
    write_record(finished.names.record, record)
    return record


def _result(record: RunRecord, finished: Finished, input_fingerprint: str) -> RunResult:
    first = finished.cells[0]
    return RunResult(
        name=finished.names.stem,
        source=Path(record.input.path),
        shape_zyx=record.input.shape_zyx,
        spacing_um_zyx=record.input.spacing_um_zyx,
        n_cells=record.n_cells or 0,
        files=RunFiles(
            record=finished.names.record,
            probability=finished.probability_path,
            labels=first.labels_path,
            table=first.table_path,
        ),
        summary=dict(record.summary),
        seconds=dict(record.seconds),
        input_fingerprint=input_fingerprint,
    )
