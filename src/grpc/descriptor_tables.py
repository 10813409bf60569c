#!/usr/bin/python3
"""Prints the tables of descriptor_tables.h as C.

	descriptor_tables.py SET

SET is what protoc --include_source_info --descriptor_set_out wrote of proto/.
"""

import sys

from google.protobuf import descriptor_pb2

V1 = "grpc.reflection.v1"
V1ALPHA = "grpc.reflection.v1alpha"


def with_comments_only(file):
    """Where things are in the source is nobody's business; comments are."""
    said = [place for place in file.source_code_info.location
            if place.leading_comments or place.trailing_comments
            or place.leading_detached_comments]
    del file.source_code_info.location[:]
    file.source_code_info.location.extend(said)
    return file


def alpha(v1):
    """The same file under the package that clients of old ask for."""
    file = descriptor_pb2.FileDescriptorProto()
    file.CopyFrom(v1)
    file.name = v1.name.replace(".proto", "_v1alpha.proto")
    file.package = V1ALPHA
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(V1, V1ALPHA)
    for service in file.service:
        for method in service.method:
            method.input_type = method.input_type.replace(V1, V1ALPHA)
            method.output_type = method.output_type.replace(V1, V1ALPHA)
    return file


def enum_symbols(scope, enum):
    """A value stands beside its enum, not inside it."""
    yield f"{scope}.{enum.name}"
    for value in enum.value:
        yield f"{scope}.{value.name}"


def message_symbols(scope, message):
    name = f"{scope}.{message.name}"
    yield name
    for one in (*message.field, *message.oneof_decl):
        yield f"{name}.{one.name}"
    for enum in message.enum_type:
        yield from enum_symbols(name, enum)
    for nested in message.nested_type:
        yield from message_symbols(name, nested)


def symbols(file):
    for message in file.message_type:
        yield from message_symbols(file.package, message)
    for enum in file.enum_type:
        yield from enum_symbols(file.package, enum)
    for service in file.service:
        yield f"{file.package}.{service.name}"
        for method in service.method:
            yield f"{file.package}.{service.name}.{method.name}"


def table(kind, name, rows):
    print(f"\nconst {kind}{name}[] = {{")
    for row in rows:
        print(f"\t{row},")
    print(f"}};\nconst size_t {name}_count = {len(rows)};")


def print_bytes(name, data):
    print(f"\nstatic const uint8_t {name}[] = {{")
    for i in range(0, len(data), 16):
        print("\t" + ", ".join(f"{byte}" for byte in data[i:i + 16]) + ",")
    print("};")


def main():
    with open(sys.argv[1], "rb") as made:
        files = list(descriptor_pb2.FileDescriptorSet.FromString(
            made.read()).file)
    files += [alpha(file) for file in files if file.package == V1]
    files = sorted(map(with_comments_only, files), key=lambda one: one.name)
    # An answer has one file, so none may need another.
    assert not any(file.dependency for file in files)

    print('/* Made by descriptor_tables.py. */\n\n'
          '#include "grpc/descriptor_tables.h"')
    for i, file in enumerate(files):
        print_bytes(f"file{i}", file.SerializeToString(deterministic=True))
    table("struct descriptor_file ", "descriptor_files",
          [f'{{ "{file.name}", file{i}, sizeof(file{i}) }}'
           for i, file in enumerate(files)])
    table("struct descriptor_symbol ", "descriptor_symbols",
          [f'{{ "{name}", {i} }}' for name, i in sorted(
              (name, i) for i, file in enumerate(files)
              for name in symbols(file))])
    table("char *const ", "descriptor_services",
          sorted(f'"{file.package}.{service.name}"' for file in files
                 for service in file.service))


main()
