"""Downloads: progress, resuming, offline, cancel; against a server on this machine."""

from __future__ import annotations

import http.server
import io
import re
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from cellseg_app.core.errors import Cancelled, OutputError, WeightsError
from cellseg_app.core.progress import CancelToken, Progress
from cellseg_app.inference.catalog import WeightsFolders, find_weights, weights_info
from cellseg_app.inference.download import download
from cellseg_app.inference.fingerprint import sha256_of
from cellseg_app.inference.installation import download_weights
from cellseg_app.inference.nets import build_network
from cellseg_app.inference.weights import load_network

CONTENT = bytes(range(256)) * 4096


@dataclass
class Server:
    """A small file server that can break connections and ignore ranges."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"one"'
    break_after: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)
    port: int = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    def respond(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.asked.append(wanted)
        content = self.files.get(handler.path.lstrip("/"))
        if content is None:
            handler.send_error(404)
            return
        start = int(re.findall(r"\d+", wanted)[0]) if wanted else 0
        partial = bool(wanted) and self.ranges and handler.headers["If-Range"] == self.etag
        if partial and start >= len(content):
            handler.send_error(416)
            return
        start = start if partial else 0
        handler.send_response(206 if partial else 200)
        if partial:
            end = len(content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        handler.send_header("ETag", self.etag)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        limit = self.break_after.pop(0) if self.break_after else len(content)
        handler.wfile.write(content[start : start + limit])


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server({"file.bin": CONTENT})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.respond(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        state.port = running.server_address[1]
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        running.shutdown()
        thread.join()


def test_a_download_arrives_whole_and_reports_its_bytes(server: Server, tmp_path: Path) -> None:
    reports: list[Progress] = []
    target = tmp_path / "new" / "file.bin"
    download(server.url("file.bin"), target, progress=reports.append)
    assert target.read_bytes() == CONTENT
    assert [child.name for child in target.parent.iterdir()] == ["file.bin"]
    assert (reports[0].done, reports[0].total) == (0, len(CONTENT))
    assert (reports[-1].done, reports[-1].total) == (len(CONTENT), len(CONTENT))
    assert len(reports) > 3


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.break_after = [300_000, 300_000]
    download(server.url("file.bin"), tmp_path / "file.bin", pause_s=0)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-", "bytes=600000-"]


def test_the_next_call_goes_on_with_what_has_arrived(server: Server, tmp_path: Path) -> None:
    server.break_after = [100_000] * 4
    with pytest.raises(WeightsError, match="goes on where it stopped"):
        download(server.url("file.bin"), tmp_path / "file.bin", pause_s=0)
    assert not (tmp_path / "file.bin").exists()
    reports: list[Progress] = []
    download(server.url("file.bin"), tmp_path / "file.bin", progress=reports.append)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=400000-"
    assert reports[0].done == 400_000


@pytest.mark.parametrize("change", ["new file", "no ranges"])
def test_what_cannot_be_continued_starts_again(server: Server, tmp_path: Path, change: str) -> None:
    server.break_after = [100_000] * 4
    with pytest.raises(WeightsError):
        download(server.url("file.bin"), tmp_path / "file.bin", pause_s=0)
    expected = CONTENT
    if change == "new file":
        server.etag = '"two"'
        expected = server.files["file.bin"] = CONTENT[::-1]
    else:
        server.ranges = False
    download(server.url("file.bin"), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == expected


def test_a_download_that_was_complete_but_not_renamed_ends_well(
    server: Server, tmp_path: Path
) -> None:
    server.break_after = [100_000] * 4
    with pytest.raises(WeightsError):
        download(server.url("file.bin"), tmp_path / "file.bin", pause_s=0)
    (tmp_path / "file.bin.partial").write_bytes(CONTENT)
    download(server.url("file.bin"), tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_cancel_stops_at_once_and_can_be_continued(server: Server, tmp_path: Path) -> None:
    cancel = CancelToken()

    def stop_early(report: Progress) -> None:
        if report.done:
            cancel.cancel()

    with pytest.raises(Cancelled):
        download(server.url("file.bin"), tmp_path / "file.bin", progress=stop_early, cancel=cancel)
    arrived = (tmp_path / "file.bin.partial").stat().st_size
    assert 0 < arrived < len(CONTENT)
    download(server.url("file.bin"), tmp_path / "file.bin")
    assert server.asked[-1] == f"bytes={arrived}-"
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_offline_is_said_so_and_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(WeightsError, match="offline") as caught:
        download(f"http://127.0.0.1:{port}/file.bin", tmp_path / "file.bin")
    assert "weights import" in caught.value.remedy


def test_a_missing_file_and_a_silent_server_are_told_apart(server: Server, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="404"):
        download(server.url("absent.bin"), tmp_path / "file.bin")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.bin"
        with pytest.raises(WeightsError, match="timed out"):
            download(url, tmp_path / "file.bin", timeout_s=0.2)


def test_a_place_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError) as caught:
        download(server.url("file.bin"), tmp_path / "taken" / "file.bin")
    assert caught.value.path == tmp_path / "taken" / "file.bin"


def published_archive(architecture: str, options: dict[str, object], tmp_path: Path) -> bytes:
    torch.save(build_network(architecture, options).state_dict(), tmp_path / "w.pth")
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.add(tmp_path / "w.pth", "wnet.pth")
    return stream.getvalue()


def test_published_weights_are_downloaded_once_and_become_the_default(
    server: Server, tmp_path: Path
) -> None:
    options: dict[str, object] = {"channels": [4, 4, 8, 8], "decoder": True}
    server.files["wnet_latest.tar.gz"] = published_archive("WNet", options, tmp_path)
    folders = WeightsFolders(tmp_path / "bundled", tmp_path / "user")
    entry = download_weights("wnet3d", folders=folders, address=server.url(""))
    assert (entry.name, entry.origin) == ("WNet-published", "user")
    assert entry.card is not None
    assert entry.card.source == server.url("wnet_latest.tar.gz")
    assert entry.card.weights_sha256 == sha256_of(folders.user / "WNet-published.pth")
    assert entry.card.options == {"channels": [4, 4, 8, 8]}
    loaded = load_network(find_weights("WNet", folders=folders))
    assert loaded.card == entry.card
    requests = len(server.asked)
    assert download_weights("WNet-published", folders=folders, address=server.url("")) == entry
    assert len(server.asked) == requests
    (folders.user / "WNet-published.pth").write_bytes(b"damaged")
    download_weights("WNet", folders=folders, address=server.url(""))
    load_network(find_weights("WNet", folders=folders))


def test_an_archive_with_another_network_is_refused(server: Server, tmp_path: Path) -> None:
    options: dict[str, object] = {"f_maps": 2, "num_levels": 2}
    server.files["VNet_latest.tar.gz"] = published_archive("TRAILMAP_MS", options, tmp_path)
    folders = WeightsFolders(tmp_path / "bundled", tmp_path / "user")
    with pytest.raises(WeightsError, match="Choose TRAILMAP_MS"):
        download_weights("VNet", folders=folders, address=server.url(""))
    assert weights_info("VNet-published", folders=folders).origin == "published"
