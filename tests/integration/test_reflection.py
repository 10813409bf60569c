"""grpc.reflection, as v1 and as v1alpha."""

import contextlib

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from client import channel
from rawframes import message, messages
from rawh2 import RawClient
from waiting import SANITIZED, until

METHOD = "/grpc.reflection.{}.ServerReflection/ServerReflectionInfo"
V1 = METHOD.format("v1")
SERVICES = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "plugin.PluginService"]


@pytest.fixture
def ask(stubs):
    """Sends requests on one stream, and returns the answers."""
    def to(walstream, *requests, version="v1", **more):
        pb2 = stubs.reflection
        with channel(walstream.address) as on:
            stream = on.stream_stream(
                METHOD.format(version),
                pb2.ServerReflectionRequest.SerializeToString,
                pb2.ServerReflectionResponse.FromString)
            return list(stream(iter(
                [pb2.ServerReflectionRequest(**one) for one in requests]),
                timeout=20, **more))
    return to


def file_of(answer):
    encoded, = answer.file_descriptor_response.file_descriptor_proto
    return descriptor_pb2.FileDescriptorProto.FromString(encoded)


def comments(file):
    return [place.leading_comments for place in
            file.source_code_info.location]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_services(server, ask, version):
    """All of them, those of reflection among them."""
    answer, = ask(server(), {"list_services": "*", "host": "h"},
                  version=version)
    assert [one.name for one in
            answer.list_services_response.service] == SERVICES
    assert answer.valid_host == "h"
    assert answer.original_request.list_services == "*"


SYMBOLS = {
    "plugin.proto": [
        "plugin.PluginService", "plugin.PluginService.Subscribe",
        "plugin.ServerMessage", "plugin.ServerMessage.msg",
        "plugin.ServerMessage.insert", "plugin.Operation", "plugin.TRUNCATE"],
    "health.proto": [
        "grpc.health.v1.Health",
        "grpc.health.v1.HealthCheckResponse.ServingStatus",
        "grpc.health.v1.HealthCheckResponse.SERVING"],
    "reflection.proto": ["grpc.reflection.v1.ErrorResponse"],
    "reflection_v1alpha.proto": ["grpc.reflection.v1alpha.ErrorResponse"],
}


def test_symbols(server, ask):
    """What declares a symbol, and the same by its name."""
    wanted = [(symbol, name) for name, symbols in SYMBOLS.items()
              for symbol in symbols]
    walstream = server()
    found = ask(walstream, *[{"file_containing_symbol": symbol}
                             for symbol, _ in wanted])
    named = ask(walstream, *[{"file_by_filename": name}
                             for _, name in wanted])
    for (symbol, name), by_symbol, by_name in zip(wanted, found, named):
        assert file_of(by_symbol).name == name
        assert file_of(by_symbol) == file_of(by_name)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file_of(by_symbol))
        assert pool.FindFileContainingSymbol(symbol).name == name


def test_contract(server, ask, stubs):
    """What is told of plugin.proto is what protoc makes of it, with the
    comments."""
    answer, = ask(server(), {"file_by_filename": "plugin.proto"})
    told = file_of(answer)
    assert any("Events flow as soon as the stream opens" in one
               for one in comments(told))
    told.ClearField("source_code_info")
    for kind in told.message_type:
        for field in kind.field:
            field.ClearField("json_name")
    made = descriptor_pb2.FileDescriptorProto()
    stubs.pb2.DESCRIPTOR.CopyToProto(made)
    assert told == made


UNKNOWN = [
    {"file_by_filename": "no.proto"}, {"file_by_filename": ""},
    {"file_containing_symbol": "plugin"},
    {"file_containing_symbol": "plugin.PluginServic"},
    {"file_containing_symbol": "plugin.PluginServiceX"},
    {"file_containing_symbol": "plugin.pluginservice"},
    {"file_containing_symbol": "plugin.\0PluginService"},
    {"file_containing_symbol": "ü" * 100},
    {"file_containing_extension": {"containing_type": "plugin.Batch",
                                   "extension_number": 100}},
    {"file_containing_extension": {}},
    {"all_extension_numbers_of_type": "no.Such"}]


def test_unknown(server, ask):
    """NOT_FOUND as an answer; the stream goes on."""
    *errors, last = ask(server(), *UNKNOWN, {"list_services": ""})
    assert len(errors) == len(UNKNOWN)
    for asked, error in zip(UNKNOWN, errors):
        assert error.error_response.error_code == \
            grpc.StatusCode.NOT_FOUND.value[0], asked
        assert error.error_response.error_message, asked
    assert last.WhichOneof("message_response") == "list_services_response"


def test_no_extensions(server, ask):
    """A message that is known has none."""
    answer, = ask(server(), {"all_extension_numbers_of_type": "plugin.Batch"})
    assert answer.all_extension_numbers_response.base_type_name == \
        "plugin.Batch"
    assert not answer.all_extension_numbers_response.extension_number


def test_many_requests(server, ask):
    """On one stream, answered in order."""
    walstream = server()
    names = ["plugin.proto", "health.proto", "reflection.proto"] * 200
    answers = ask(walstream, *[{"file_by_filename": one} for one in names])
    assert [file_of(one).name for one in answers] == names


JUNK = [
    (b"\x1a\x05x", grpc.StatusCode.INTERNAL),  # cut off
    (b"\x18\x01", grpc.StatusCode.INTERNAL),  # a number for a string
    (b"\x1a\x02\xc3\x28", grpc.StatusCode.INTERNAL),  # no UTF-8
    (b"", grpc.StatusCode.INVALID_ARGUMENT),
    (b"\xa0\x06\x01", grpc.StatusCode.INVALID_ARGUMENT),  # unknown field
    (b"\x22\x80\x02" + b"x" * 256, grpc.StatusCode.INVALID_ARGUMENT),
    (b"x" * 4097, grpc.StatusCode.RESOURCE_EXHAUSTED)]


def test_junk(server, ask):
    """G43: ends that stream, behind the answers to what was good."""
    walstream = server()
    for junk, code in JUNK:
        with channel(walstream.address) as on:
            stream = on.stream_stream(V1)(iter([b"\x3a\x00", junk]),
                                          timeout=10)
            with pytest.raises(grpc.RpcError) as failed:
                assert len(list(stream)) == 1
        assert failed.value.code() == code, junk[:20]
    ask(walstream, {"list_services": ""})


ASK_FILE = message(b"\x1a\x0cplugin.proto")
LONG = message(b"\x3a\xfa\x01" + b"x" * 250)


def room(raw, stream):
    return raw.conn.local_flow_control_window(stream)


def test_client_that_reads_nothing(server, ask):
    """G43: answers are not made before they are taken."""
    walstream = server()
    before = walstream.status("VmRSS")
    raw = RawClient(walstream.port, window=0)
    try:
        streams = []
        requests = ASK_FILE * 100  # 10 kB for each
        for _ in range(20):
            streams.append(raw.request({":path": V1}))
            raw.until(lambda: room(raw, streams[-1]) >= len(requests))
            raw.data(streams[-1], requests)
        ask(walstream, {"list_services": ""})  # others are served
        if not SANITIZED:
            assert walstream.status("VmRSS") - before < 16 << 20
        # Windows open: everything that was asked is answered.
        for stream in streams:
            raw.conn.increment_flow_control_window(1 << 28, stream)
        raw.conn.increment_flow_control_window(1 << 28)
        raw.flush()
        raw.until(lambda: all(len(messages(raw.body.get(one, b""))) == 100
                              for one in streams), 60)
        if not SANITIZED:
            assert walstream.status("VmRSS") - before < 16 << 20
    finally:
        raw.close()


def test_requests_that_are_far_ahead(server, ask):
    """G43: who takes no answers cannot go on asking; it can when it does."""
    walstream = server()
    raw = RawClient(walstream.port, window=0)
    try:
        stream = raw.request({":path": V1})
        sent = 0
        while room(raw, stream) >= len(LONG):
            assert sent < 2000
            raw.data(stream, LONG)
            sent += 1
        assert sent > 100
        ask(walstream, {"list_services": ""})
        raw.conn.increment_flow_control_window(1 << 28, stream)
        raw.conn.increment_flow_control_window(1 << 28)
        raw.flush()
        raw.until(lambda: len(messages(raw.body.get(stream, b""))) == sent)
        raw.until(lambda: room(raw, stream) >= len(LONG))
        raw.data(stream, LONG)
        raw.until(
            lambda: len(messages(raw.body.get(stream, b""))) == sent + 1)
    finally:
        raw.close()


def crowd(walstream, connections, requests, times, window):
    """100 streams on each connection, which ask this so many times and take
    window bytes of answers."""
    clients = []
    for _ in range(connections):
        raw = RawClient(walstream.port, window=0)
        clients.append(raw)
        for _ in range(100):
            stream = raw.request({":path": V1})
            if window:
                raw.conn.increment_flow_control_window(window, stream)
            for _ in range(times):
                raw.until(lambda: room(raw, stream) >= len(requests))
                raw.data(stream, requests)
    return clients


@pytest.mark.parametrize("requests, times, window, connections", [
    (LONG * 60, 3, 0, 2), (ASK_FILE, 1, 1, 7)], ids=["requests", "answers"])
def test_crowd_that_reads_nothing(server, ask, requests, times, window,
                                  connections):
    """G43: so many streams that what each may wait with is too much."""
    walstream = server()
    ask(walstream, {"list_services": ""})
    before = walstream.status("VmRSS")
    clients = crowd(walstream, connections, requests, times, window)
    try:
        if window:  # where there is no more room for an answer
            assert clients[-1].status(199) == \
                grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        with pytest.raises(grpc.RpcError) as failed:
            ask(walstream, {"list_services": ""})
        assert failed.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "too many requests wait" in failed.value.details()
        if not SANITIZED:
            assert walstream.status("VmRSS") - before < 24 << 20
    finally:
        for raw in clients:
            raw.close()
    until(lambda: works(walstream, ask), 20, "room again")


def works(walstream, ask):
    with contextlib.suppress(grpc.RpcError):
        return ask(walstream, {"list_services": ""})
    return None


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_off(server, ask, version):
    """--no-reflection: as if it did not exist."""
    with pytest.raises(grpc.RpcError) as failed:
        ask(server("--no-reflection"), {"list_services": ""},
            version=version)
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED
