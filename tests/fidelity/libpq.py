"""What libpq makes of connection strings, as conninfo.c says what we do.

	libpq.py LIBRARY parse|connect

Lines and answers are those of conninfo.c. parse gives what PQconninfoParse
does: what the text has, and nothing else. connect lets libpq connect, which
checks values and adds what comes from elsewhere; that there is no server is no
error.
"""

import ctypes
import os
import sys


class Option(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in
                ("keyword", "envvar", "compiled", "val", "label", "dispchar")
                ] + [("dispsize", ctypes.c_int)]


OPTIONS = ctypes.POINTER(Option)
TEXT = ctypes.c_char_p
CONN = ctypes.c_void_p
# A wrong number is found when there is a socket.
LATE = (b"invalid integer value", b"must be an integer", b"invalid port")


def load(path):
    lib = ctypes.CDLL(path)
    for name, result, *args in [
            ("PQconninfoParse", OPTIONS, TEXT, ctypes.POINTER(TEXT)),
            ("PQconndefaults", OPTIONS),
            ("PQconninfoFree", None, OPTIONS),
            ("PQconnectdb", CONN, TEXT),
            ("PQconninfo", OPTIONS, CONN),
            ("PQstatus", ctypes.c_int, CONN),
            ("PQerrorMessage", TEXT, CONN),
            ("PQpass", TEXT, CONN),
            ("PQfinish", None, CONN)]:
        function = getattr(lib, name)
        function.restype, function.argtypes = result, args
    return lib


def listed(options):
    i = 0
    while options[i].keyword:
        yield options[i]
        i += 1


def said(lib, options):
    words = [f"{option.keyword.decode()}={option.val.hex()}"
             for option in listed(options) if option.val is not None]
    lib.PQconninfoFree(options)
    return words


def parse(lib, text):
    error = TEXT()
    options = lib.PQconninfoParse(text, ctypes.byref(error))
    if not options:
        return "no " + error.value.hex()
    return " ".join(["ok", *said(lib, options)])


def connect(lib, text):
    conn = lib.PQconnectdb(text)
    try:
        error = lib.PQerrorMessage(conn)
        if lib.PQstatus(conn) != 0 and (
                not error.startswith(b"connection to server ")
                or any(late in error for late in LATE)):
            return "no " + error.hex()
        words = said(lib, lib.PQconninfo(conn))
        password = lib.PQpass(conn)
        return " ".join(["ok", *words, "host.password="
                         + (password.hex() if password else "-")])
    finally:
        lib.PQfinish(conn)


def main():
    lib = load(sys.argv[1])
    act = {"parse": parse, "connect": connect}[sys.argv[2]]
    for line in sys.stdin:
        text, *variables = line.rstrip("\n").split(" ")
        os.environ.clear()
        for variable in variables:
            name, value = variable.split("=")
            os.environb[name.encode()] = bytes.fromhex(value)
        print(act(lib, bytes.fromhex(text)), flush=True)


if __name__ == "__main__":
    main()
