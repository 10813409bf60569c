"""The protobuf classes, generated from proto/ into a directory."""

import importlib
import sys

import place


def generate(directory):
    from grpc_tools import protoc  # not needed by whoever only loads them
    status = protoc.main(["protoc", f"-I{place.PROTO}",
                          f"--python_out={directory}", "plugin.proto"])
    if status != 0:
        raise RuntimeError("protoc failed")


def load(directory):
    """The module plugin_pb2."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    return importlib.import_module("plugin_pb2")


def has_subscribe():
    text = (place.PROTO / "plugin.proto").read_text(encoding="utf-8")
    return "rpc Subscribe" in text
