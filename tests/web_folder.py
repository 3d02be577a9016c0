"""A folder behind a web server on this machine, as a bucket would show it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class WebFolder:
    """Its address, what was asked for, and how many answers are to be failures."""

    address: str = ""
    asked: list[str] = field(default_factory=list)
    failures: int = 0


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, web: WebFolder, **options: object) -> None:
        self._web = web
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if self._may_answer():
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._may_answer():
            super().do_HEAD()

    def _may_answer(self) -> bool:
        self._web.asked.append(self.path)
        if self._web.failures > 0:
            self._web.failures -= 1
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
        elif "secret" in self.path:
            self.send_error(HTTPStatus.FORBIDDEN)
        elif Path(self.translate_path(self.path)).is_dir():
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            return True
        return False

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[WebFolder]:
    """Serve a folder on a loopback address."""
    web = WebFolder()
    handler = partial(_Handler, web=web, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        web.address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield web
        finally:
            server.shutdown()
            thread.join()
