"""What a stock client generates from `proto/auth.proto`: made anew for each run."""

import importlib
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

from server import ROOT

FOLDER = tempfile.TemporaryDirectory(prefix="meydan-stubs-")


def generate():
    """Gives the modules of the messages and of the service."""
    done = protoc.main(
        [
            "protoc",
            f"--proto_path={ROOT / 'proto'}",
            f"--python_out={FOLDER.name}",
            f"--grpc_python_out={FOLDER.name}",
            "auth.proto",
        ]
    )
    if done != 0:
        raise RuntimeError(f"protoc of {grpc_tools.__name__} ended with {done}")
    sys.path.insert(0, FOLDER.name)
    return importlib.import_module("auth_pb2"), importlib.import_module("auth_pb2_grpc")
