"""Asking for a newer release: a real server on this machine, and none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cellseg_app import __version__
from cellseg_app.core.errors import UserError
from cellseg_app.core.progress import CancelToken
from cellseg_app.io.release_feed import newest_release
from cellseg_app.workers.jobs import JobContext
from cellseg_app.workers.releases import checking_for_updates

PAGE = "https://example.org/cellseg"


@dataclass
class Feed:
    """Where the server is, and what it answers next."""

    address: str = ""
    content: bytes = b""


@pytest.fixture
def feed() -> Iterator[Feed]:
    """A server that answers with the content it is given; `address` is where."""

    feed = Feed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(feed.content)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    feed.address = f"http://127.0.0.1:{server.server_port}/latest.json"
    yield feed
    server.shutdown()
    thread.join()
    server.server_close()


def sentence(address: str) -> str:
    context = JobContext(0, CancelToken(), lambda _: None)
    return str(checking_for_updates(address)(context))


@pytest.mark.parametrize(
    ("version", "says"),
    [("99.0", "99.0 is out"), (__version__, "newest"), ("0.0.1", "newest"), ("0.0.10", "newest")],
)
def test_a_newer_version_is_told_and_an_older_one_is_not(
    feed: Feed, version: str, says: str
) -> None:
    feed.content = json.dumps({"version": version, "page": PAGE}).encode()
    assert says in sentence(feed.address)


@pytest.mark.parametrize("content", [b"<html>", b"{}", b'{"version": "new", "page": "x"}'])
def test_an_answer_of_no_use_is_refused(feed: Feed, content: bytes) -> None:
    feed.content = content
    with pytest.raises(UserError, match="cannot be read"):
        newest_release(feed.address)


def test_offline_is_said_as_such() -> None:
    with pytest.raises(UserError, match="offline"):
        newest_release("http://127.0.0.1:9/latest.json")


@pytest.mark.parametrize("address", ["", "file:///etc/passwd"])
def test_nothing_but_the_web_is_asked(address: str) -> None:
    with pytest.raises(UserError, match="release"):
        newest_release(address)
