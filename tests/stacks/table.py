"""The stacks, and the ways to a walstream: what is tested is each with each.

A stack's build is a script for its copy in build/stacks; PROTO, SOURCE and
TOOLS are directories. A transport's options are of `walstream start`, its words
those of the client (README.md); both name files of pki.Pki.
"""

import collections

Stack = collections.namedtuple("Stack", "name build words")
Transport = collections.namedtuple("Transport", "name options words")

STACKS = [
    Stack("python", """
        python3 -m venv .venv
        .venv/bin/pip install -q --disable-pip-version-check \\
            -r requirements.txt
        .venv/bin/python -m grpc_tools.protoc -I "$PROTO" --python_out=. \\
            --grpc_python_out=. plugin.proto health.proto reflection.proto
        """, [".venv/bin/python", "client.py"]),
    Stack("go", """
        "$SOURCE/../../tools/go-tools" stacks/go
        export PATH="$TOOLS:$PATH:/usr/local/go/bin"
        go generate
        go build -o client .
        """, ["./client"]),
    Stack("node", "npm ci --no-audit --no-fund", ["node", "client.js"]),
    Stack("cpp", 'make -f "$SOURCE/Makefile" "PROTO=$PROTO"', ["./client"]),
]

SERVER_TLS = {"--tls-cert": "server.cert", "--tls-key": "server.key"}

TRANSPORTS = [
    Transport("plain", {}, {}),
    Transport("unix", {}, {}),
    Transport("tls", SERVER_TLS, {"ca": "ca"}),
    Transport("mtls", {**SERVER_TLS, "--tls-client-ca": "ca"},
              {"ca": "ca", "cert": "client.cert", "key": "client.key"}),
    Transport("token", {**SERVER_TLS, "--auth-token-file": "tokens"},
              {"ca": "ca", "token": "token"}),
]
