"""One call to a walstream with grpcio: see ../README.md."""

import os
import queue
import sys
import threading

import grpc

import health_pb2
import health_pb2_grpc
import plugin_pb2
import plugin_pb2_grpc
import reflection_pb2
import reflection_pb2_grpc
from google.protobuf import descriptor_pb2


def read(path):
    with open(path, "rb") as f:
        return f.read()


def say(*words):
    print(*words, flush=True)


def connect(address, options):
    settings = []
    most = int(options.get("max_message", -1))
    if most:
        settings.append(("grpc.max_receive_message_length", most))
    if "keepalive_s" in options:
        settings += [
            ("grpc.keepalive_time_ms", int(options["keepalive_s"]) * 1000),
            ("grpc.http2.max_pings_without_data", 0)]
    if "ca" not in options:
        return grpc.insecure_channel(address, settings)
    cert = read(options["cert"]) if "cert" in options else None
    key = read(options["key"]) if "key" in options else None
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(
        read(options["ca"]), key, cert), settings)


def how(options):
    """What is said with each call."""
    words = {}
    if "token" in options:
        words["metadata"] = [("authorization", "Bearer " + options["token"])]
    if "deadline_ms" in options:
        words["timeout"] = int(options["deadline_ms"]) / 1000
    return words


def show(message):
    op = message.WhichOneof("msg")
    body = getattr(message, op)
    if op == "started":
        say(op, body.start_lsn)
    elif op in ("insert", "update", "delete"):
        say(op, body.pg_lsn, body.json_payload)
    else:
        say(op, body.pg_lsn)


def obey(call, requests):
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "ack":
            requests.put(plugin_pb2.ClientMessage(
                ack=plugin_pb2.ClientAck(pg_lsn=int(rest[0]))))
        elif word == "close":
            requests.put(None)
        elif word == "cancel":
            call.cancel()


def stream(channel, method, options):
    stub = plugin_pb2_grpc.PluginServiceStub(channel)
    requests = queue.SimpleQueue()
    if method == "subscribe":
        requests.put(plugin_pb2.ClientMessage(start=plugin_pb2.Start(
            consumer=options.get("consumer", ""),
            tables=filter(None, [options.get("tables")]))))
    open_call = stub.Subscribe if method == "subscribe" else stub.Session
    call = open_call(iter(requests.get, None), **how(options))
    threading.Thread(target=obey, args=(call, requests), daemon=True).start()
    call.initial_metadata()
    if call.is_active():
        say("headers")
    for message in call:
        show(message)


def health(channel, method, options):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(
        service=options.get("service", ""))
    if method == "check":
        say("health", stub.Check(request, **how(options)).status)
        return
    call = stub.Watch(request, **how(options))
    threading.Thread(target=obey, args=(call, None), daemon=True).start()
    for answer in call:
        say("health", answer.status)


def reflect(channel, _, options):
    request = reflection_pb2.ServerReflectionRequest
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    requests = queue.SimpleQueue()
    call = stub.ServerReflectionInfo(iter(requests.get, None), **how(options))
    requests.put(request(list_services="*"))
    services = next(call).list_services_response.service
    for service in services:
        say("service", service.name)
        requests.put(request(file_containing_symbol=service.name))
        files = next(call).file_descriptor_response.file_descriptor_proto
        for file in files:
            name = descriptor_pb2.FileDescriptorProto.FromString(file).name
            say("file", name, len(file))
    requests.put(None)
    for _ in call:
        pass


METHODS = {"session": stream, "subscribe": stream, "check": health,
           "watch": health, "reflect": reflect}


def main():
    address, method, *rest = sys.argv[1:]
    options = dict(word.split("=", 1) for word in rest)
    try:
        METHODS[method](connect(address, options), method, options)
        say("status", 0)
    except grpc.RpcError as error:
        say("status", error.code().value[0], error.details())
    os._exit(0)  # the reader of standard input is still waiting


main()
