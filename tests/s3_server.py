"""A server of the S3 protocol on this machine; its buckets lie in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import fsspec
import pytest
import requests
import s3fs
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from cellseg_app.io import addresses

_ALLOWED = (
    '{"Version": "2012-10-17",'
    ' "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
)


@dataclass
class S3Server:
    """Its address, and the paths of all objects that were asked for.

    Attributes
    ----------
    on_request
        Called with each path, before it is answered.
    """

    monkeypatch: pytest.MonkeyPatch
    address: str = ""
    asked: list[str] = field(default_factory=list)
    on_request: Callable[[str], None] = lambda _: None
    _server: BaseWSGIServer | None = None

    def client(self, service: str = "s3") -> Any:
        """A client of the protocol that is not ours."""
        return boto3.client(service, region_name="us-east-1")

    def put(self, folder: Path, bucket: str, *, public: bool = False) -> None:
        """Put all files of a folder into a new bucket."""
        client = self.client()
        client.create_bucket(Bucket=bucket)
        access = {"ACL": "public-read" if public else "private"}
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                key = path.relative_to(folder).as_posix()
                client.upload_file(str(path), bucket, key, ExtraArgs=access)

    def ask_for_account(self) -> tuple[str, str]:
        """Let in nobody but one account; returns its key and secret."""
        iam = self.client("iam")
        iam.create_user(UserName="reader")
        iam.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=_ALLOWED)
        key = iam.create_access_key(UserName="reader")["AccessKey"]
        self._tell("reset-auth", "0")
        return key["AccessKeyId"], key["SecretAccessKey"]

    def log_in(self, key: str | None, secret: str | None) -> None:
        """Give programs an account as users do; None for none."""
        given = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
        for name, value in given.items():
            if value is None:
                self.monkeypatch.delenv(name, raising=False)
            else:
                self.monkeypatch.setenv(name, value)
        forget_connections()

    def stop(self) -> None:
        """Answer nobody any more, and forget everything."""
        server, self._server = self._server, None
        if server is not None:
            self._tell("reset-auth", "inf")
            self._tell("reset")
            server.shutdown()
            server.server_close()

    def _tell(self, what: str, content: str = "") -> None:
        requests.post(f"{self.address}/moto-api/{what}", data=content, timeout=20)

    def _start(self) -> None:
        server = self

        class Handler(MotoRequestHandler):
            def run_wsgi(self) -> None:
                path = self.path.partition("?")[0]
                if not path.startswith("/moto-api/"):
                    server.asked.append(path)
                    server.on_request(path)
                super().run_wsgi()

            def log(self, *_: object) -> None:
                """Say nothing."""

        app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, app, True, request_handler=Handler)
        self.address = f"http://127.0.0.1:{self._server.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()


def forget_connections() -> None:
    """Make the program look at the environment anew, as one does that is just started."""
    addresses._has_s3_account.cache_clear()
    for file_system in s3fs.S3FileSystem._cache.values():
        # zarr leaves them open, which Python warns of.
        if file_system._s3 is not None:
            fsspec.asyn.sync(fsspec.asyn.get_loop(), file_system._s3.close)
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Run a server, and let the environment name it as users of other storages than Amazon's do."""
    server = S3Server(monkeypatch)
    server._start()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Nothing that was configured on this machine counts.
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "none")
    server.log_in("anybody", "anything")
    try:
        yield server
    finally:
        server.stop()
        forget_connections()
