"""The built server, started on free ports with a data folder of its own."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
READY_WITHIN = 120
STOP_WITHIN = 30


def binary() -> str:
    named = os.environ.get("MEYDAN_BIN")
    if named:
        return named
    asked = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--offline"]
    told = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True)
    return str(Path(json.loads(told.stdout)["target_directory"]) / "debug" / "meydan")


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """`meydan up` in development mode; use it in a `with`."""

    def __init__(self, settings: dict[str, str] | None = None):
        self.folder = Path(tempfile.mkdtemp(prefix="meydan-clients-"))
        self.port, self.grpc_port = free_port(), free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.grpc = f"127.0.0.1:{self.grpc_port}"
        # Settings of whoever runs the tests must not change what is tested.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("MEYDAN_")
        }
        environment |= {
            "MEYDAN_ENV": "dev",
            "MEYDAN_GRPC__PORT": str(self.grpc_port),
            "MEYDAN_HTTP__DRAIN_GRACE": "0s",
            "MEYDAN_HTTP__DRAIN_DEADLINE": "10s",
            "MEYDAN_REALTIME__DRAIN_SECONDS": "0",
        }
        environment |= settings or {}
        command = [binary(), "up", "--listen", "127.0.0.1", "--port", str(self.port), "--data"]
        self.log = self.folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, str(self.folder / "data")],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> "Server":
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                tail = self.tail()
                self.close()
                raise RuntimeError(f"the server is not ready:\n{tail}")
            time.sleep(0.05)
        return self

    def __exit__(self, kind, error, trace) -> None:
        self.close()

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-30:])

    def close(self) -> None:
        """Ends it as a supervisor would; a second call does nothing."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def call(self, method: str, path: str, body=None, token: str | None = None):
        """One REST call; gives the status and the decoded body."""
        request = urllib.request.Request(self.origin + path, method=method)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        if token:
            request.add_header("authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, data, timeout=15) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
