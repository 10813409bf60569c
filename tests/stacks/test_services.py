"""Health and reflection by every stack over every transport."""

from cases import each_stack, each_transport
from place import PROTO

SERVICES = {"plugin.PluginService", "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection"}
SERVING, NOT_SERVING, SERVICE_UNKNOWN = "1", "2", "3"


@each_transport
@each_stack
def test_check(serve, call, stack, transport):
    walstream = serve(transport)
    asked = [(call(stack, walstream, "check", service=service), code)
             for service, code in [("", 0), ("plugin.PluginService", 0),
                                   ("no.such.Service", 5)]]
    for one, code in asked:
        assert one.status()[0] == code, one.state()
        assert one.of("health") == ([SERVING] if code == 0 else [])


@each_transport
@each_stack
def test_watch(serve, call, stack, transport):
    """What it is now, and again when it changes: here as walstream ends, with
    a client that it waits for."""
    walstream = serve(transport)
    stream = call(stack, walstream, "session").attached()
    one = call(stack, walstream, "watch", service="plugin.PluginService")
    unknown = call(stack, walstream, "watch", service="no.such.Service")
    assert one.wait_of("health") == [SERVING]
    assert unknown.wait_of("health") == [SERVICE_UNKNOWN]
    assert not unknown.over()
    assert walstream.stop() == 0
    assert stream.status()[0] == 14
    assert one.status()[0] == 14, one.state()
    assert one.of("health") == [SERVING, NOT_SERVING]


@each_transport
@each_stack
def test_reflection(serve, call, stack, transport):
    """The services, and for each the files that describe it."""
    one = call(stack, serve(transport), "reflect")
    assert one.status()[0] == 0, one.state()
    assert set(one.of("service")) == SERVICES
    names = {line.split()[0] for line in one.of("file")}
    assert {path.name for path in PROTO.glob("*.proto")} <= \
        {name.rpartition("/")[2] for name in names}
