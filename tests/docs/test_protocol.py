"""walstream-protocol(7) and the .proto files say the same."""

import re

import grpc_tools
import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

import program
from page import REPOSITORY, items, text

Field = descriptor_pb2.FieldDescriptorProto
# Where a limit is in the source, and what the page says of it.
LIMITS = [
    (None, "max-streams-per-connection", "streams on one connection"),
    (None, "max-streams", "streams in all"),
    ("grpc/request.h", "REQUEST_MAX_BYTES", "bytes of request headers"),
    ("grpc/request.h", "REQUEST_MAX_HEADERS", "request headers"),
    ("server/session.c", "MAX_CLIENT_MESSAGE", "bytes of a message on Ses"),
    ("server/session.c", "MAX_START_MESSAGE", "bytes of a message on Subs"),
    ("event/proto.h", "START_MAX_TABLES", "globs in tables"),
    ("event/proto.h", "START_MAX_STRING", "bytes of a glob"),
    ("server/health.c", "MAX_REQUEST", "bytes of a health check"),
    ("server/reflection.c", "MAX_REQUEST", "bytes of a reflection"),
    ("server/reflection.c", "MAX_HELD", "bytes of those, and of answers"),
    ("event/proto_reflection.h", "REFLECTION_MAX_NAME", "bytes of a name"),
    ("feed/consumer.h", "CONSUMER_MAX", "names of consumers"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    out = tmp_path_factory.mktemp("descriptors") / "set"
    names = sorted(path.name for path in (REPOSITORY / "proto").iterdir())
    status = protoc.main([
        "protoc", f"-I{REPOSITORY / 'proto'}",
        f"-I{grpc_tools.__path__[0]}/_proto",
        f"--descriptor_set_out={out}", *names])
    assert status == 0, "protoc failed"
    return descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file


def type_of(field):
    name = field.type_name.rsplit(".", 1)[-1] or Field.Type.Name(
        field.type)[len("TYPE_"):].lower()
    many = field.label == Field.LABEL_REPEATED
    return ("repeated " if many else "") + name


def messages(files):
    """{message or enum: its lines}."""
    enums = [enum for file in files for enum in
             [*file.enum_type, *(enum for message in file.message_type
                                 for enum in message.enum_type)]]
    found = {message.name: [f"{field.number} {type_of(field)} {field.name}"
                            for field in message.field]
             for file in files for message in file.message_type}
    found.update({enum.name: [f"{value.number} {value.name}"
                              for value in enum.value] for enum in enums})
    return found


def test_messages(protocol, files):
    """Every message, field, number, type and value, and no other."""
    page = {}
    for title, body in protocol.subsections("MESSAGES").items():
        for name in title.split(", "):
            page[name] = [text(head) for head, _ in items(body)]
    assert page == messages(files)


def test_methods(protocol, files):
    page = [text(head) for head, _ in
            items(protocol.subsections("DESCRIPTION")["Methods"])]
    assert page == [f"/{file.package}.{service.name}/{method.name}"
                    for file in sorted(files, key=lambda one: one.package,
                                       reverse=True)
                    for service in file.service for method in service.method]


def test_names_in_the_text(protocol, files):
    """A field (Va) or message (Vt) of the text is one that there is."""
    fields = {line.split()[-1] for lines in messages(files).values()
              for line in lines}
    for word in protocol.root.words("Va"):
        for part in re.split(r"[., ]+", word):
            assert part in fields, word
    assert set(protocol.root.words("Vt")) <= messages(files).keys()


def sent():
    """The statuses that the server gives, by its source."""
    code = program.source(*(path.relative_to(program.SRC) for folder in
                            ("server", "grpc")
                            for path in (program.SRC / folder).glob("*.c")
                            if path.name != "status.c"))
    # What our own client makes of a reset, and what is only counted.
    for name in ("reset_code", "derive_status", "metrics_ended"):
        code, n = re.subn(rf"^{name}\(.*?^}}", "", code,
                          flags=re.MULTILINE | re.DOTALL)
        assert n == 1, name
    return set(re.findall(r"\bGRPC_(\w+)", code))


def test_statuses(protocol):
    """Those that can be sent, and no other."""
    page = [text(head) for head, _ in items(protocol.sections["STATUSES"])]
    assert sorted(page) == sorted(sent())


def test_limits(protocol):
    page = [(text(head), text(body))
            for head, body in items(protocol.sections["LIMITS"])]
    assert len(page) == len(LIMITS)
    for file, name, words in LIMITS:
        value = program.options("start")[name].default if file is None else \
            re.search(rf"^#define {name} (\d+)",
                      (program.SRC / file).read_text(encoding="utf-8"),
                      re.MULTILINE)[1]
        assert [said for said, what in page if what.startswith(words)] \
            == [value], name
