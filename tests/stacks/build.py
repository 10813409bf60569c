"""Builds the clients in build/stacks, all at once: copies of the sources, what
is generated from proto/, and what their lock files name.

What is there already is made again only when the sources or proto/ changed.
"""

import concurrent.futures
import hashlib
import os
import shutil
import subprocess
import sys
import time

from place import BUILT, HERE, PROTO, TOOLS
from table import STACKS


def sources(stack):
    return sorted((HERE / stack.name).iterdir())


def digest(stack):
    """Of everything a build depends on."""
    state = hashlib.sha256(stack.build.encode())
    for path in [*sources(stack), *sorted(PROTO.glob("*.proto"))]:
        state.update(path.name.encode() + b"\0" + path.read_bytes())
    return state.hexdigest()


def build(stack):
    """Returns what to say about it."""
    copy, stamp = BUILT / stack.name, BUILT / f"{stack.name}.built"
    now, start = digest(stack), time.monotonic()
    if stamp.exists() and stamp.read_text(encoding="ascii") == now:
        return f"{stack.name}: is there"
    stamp.unlink(missing_ok=True)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for path in sources(stack):
        shutil.copy2(path, copy)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", stack.build], cwd=copy,
        env={**os.environ, "PROTO": str(PROTO), "TOOLS": str(TOOLS),
             "SOURCE": str(HERE / stack.name)},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
        check=False)
    if done.returncode:
        raise RuntimeError(f"{stack.name}: cannot be built:\n{done.stdout}")
    stamp.write_text(now, encoding="ascii")
    return f"{stack.name}: built in {time.monotonic() - start:.0f} s"


def main():
    failed = False
    with concurrent.futures.ThreadPoolExecutor(len(STACKS)) as pool:
        for one in [pool.submit(build, stack) for stack in STACKS]:
            try:
                print(one.result(), flush=True)
            except RuntimeError as error:
                print(error, file=sys.stderr)
                failed = True
    sys.exit(failed)


if __name__ == "__main__":
    main()
