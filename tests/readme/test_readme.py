"""Everything the README tells people to type, typed."""

import itertools
import json
import re
import shutil

import pytest

import blocks
import certs
from conftest import REPOSITORY

keys = itertools.count(1)


def by_ci(story, command):
    """Too long to be repeated here: a step of .ci/run."""
    del story
    ci = (REPOSITORY / ".ci/run").read_text(encoding="utf-8")
    assert re.search(rf"^step \w+ {re.escape(command)}( |$)", ci,
                     re.MULTILINE), f".ci/run has no step {command}"


def build(story, command):
    story.run(command, cwd=REPOSITORY, outside=True, timeout=600)


def install(story, command):
    story.run(command, cwd=REPOSITORY)
    for name in ("bin/walstream", "share/man/man1/walstream.1",
                 "share/man/man7/walstream-protocol.7",
                 "share/bash-completion/completions/walstream",
                 "share/zsh/site-functions/_walstream",
                 "lib/systemd/system/walstream@.service"):
        assert (story.root / "usr/local" / name).stat().st_size > 0, name


def start(story, command):
    for child in story.running("start"):
        story.stop(child)
    story.wait_text(story.start(command), "server.listening")


def stop_all(story):
    for child in story.running("start"):
        story.stop(child)


def start_tls(story, command):
    """With the files that the command names, made as one's authority would."""
    if not (story.place / "server.pem").exists():
        ca = certs.Authority(story.place, "authority")
        for name, pair in (("server", ca.issue("x", "DNS:localhost")),
                           ("client", ca.issue("consumer-1"))):
            shutil.copy(pair.cert, story.place / f"{name}.pem")
            shutil.copy(pair.key, story.place / f"{name}.key")
        for name in ("ca", "clients"):
            shutil.copy(ca.cert, story.place / f"{name}.pem")
    stop_all(story)
    start(story, command)


def tail_tls(story, command):
    """The slot is a temporary one: only what comes now is seen."""
    child, key = story.start(command), next(keys)
    story.wait_text(story.running("start")[0], "session.opened")
    story.change_a_row(key)
    story.await_line(child, key)
    story.stop(child)
    stop_all(story)


def health(story, command):
    assert story.run(command) == "SERVING\n"
    stop_all(story)


def tail(story, command):
    """It prints what the sample below it promises."""
    child, key = story.start(command), next(keys)
    story.change_a_row(key)
    event = story.await_line(child, key)
    sample = json.loads(blocks.others("json")[0].text)
    assert list(event) == list(sample)
    assert list(event["payload"]) == list(sample["payload"])
    story.stop(child)


def again(story):
    """The reader's walstream, if it does not run."""
    if not story.running("start"):
        start(story, next(command for _, command in blocks.commands()
                          if re.match(r"walstream .* start ", command)))


def slots(story, command):
    again(story)
    out = story.run(command)
    assert "my_slot" in out and "retained_bytes" in out


def check(story, command):
    """Nothing is amiss; some things are to be known."""
    lines = story.run(command).splitlines()
    assert len(lines) > 12
    assert {line.split()[0] for line in lines} <= {"ok", "warn"}


def verified(story, command):
    """The server proves who it is; the password is in the file."""
    pgpass = story.place / ".pgpass"
    pgpass.write_text("db:*:app:me:secret\n", encoding="utf-8")
    pgpass.chmod(0o600)
    assert "retained_bytes" in story.run(command)


def delete(story, command):
    """Once walstream is stopped, as the text says."""
    for child in story.running("start"):
        story.stop(child)
    story.run(command)
    assert "my_slot" not in story.run(command.split(" delete")[0] + " list")


def pip(story, command):
    story.venv()
    story.run(command, outside=True, timeout=300)


def stubs(story, command):
    story.run(command)
    assert (story.place / "plugin_pb2_grpc.py").exists()


def no_engine(story, command):
    del story
    pytest.skip(f"needs a container engine (tests/image does the same without"
                f" one): {command}")


TYPED = [
    (r"make (demo|check|static)\b", by_ci),
    (r"make$", build),
    (r"sudo make install$", install),
    (r"docker(-compose)? ", no_engine),
    (r"(?s)walstream .* start .* --tls-cert ", start_tls),
    (r"(?s)walstream .* start ", start),
    (r"walstream tail .* --tls-ca ", tail_tls),
    (r"walstream tail ", tail),
    (r"walstream health ", health),
    (r"walstream .* check ", check),
    (r"walstream .*sslmode=verify-full.* list$", verified),
    (r"walstream .* list\b", slots),
    (r"walstream .* delete ", delete),
    (r"pip install ", pip),
    (r"python3 -m grpc_tools.protoc ", stubs),
]


def test_sql(story):
    """The statements, by a superuser, before anything is started."""
    statements = blocks.others("sql")
    assert statements
    with story.pg.connect("app") as admin:
        for block in statements:
            admin.execute(block.text)


@pytest.mark.parametrize("line, command", blocks.commands())
def test_sh(story, line, command):
    """Each command, in order."""
    for pattern, way in TYPED:
        if re.match(pattern, command):
            way(story, command)
            return
    pytest.fail(f"README.md:{line}: nobody knows how to try: {command}")


def test_python(story):
    """The client prints a change and acknowledges it."""
    block, = blocks.others("python")
    (story.place / "client.py").write_text(block.text, encoding="utf-8")
    again(story)
    client = story.start("python3 -u client.py")
    story.wait_text(story.running("start")[0], "session.opened")
    key = next(keys)
    story.change_a_row(key)
    assert story.wait_text(client, f'"id":{key}').startswith("insert public")
    story.stop(client)


def test_nothing_else_is_typed():
    """A block of another kind is one that a test above reads."""
    kinds = {block.kind for block in blocks.blocks()}
    assert kinds <= {"sh", "sql", "json", "python", "ini"}


def test_unit(story):
    """The sample of /etc/walstream/NAME.conf, with the unit's command."""
    conf, = blocks.others("ini")
    unit = (REPOSITORY / "src/walstream@.service.in").read_text(
        encoding="utf-8")
    command = re.search(r"^ExecStart=@BINDIR@/(.*)$", unit, re.MULTILINE)[1]
    (story.place / "NAME.conf").write_text(conf.text, encoding="utf-8")
    for child in story.running("start"):
        story.stop(child)
    # An environment file's values are not quoted, as a shell's have to be.
    script = ("bash -c 'while IFS= read -r line; do export \"$line\"; done"
              f" <NAME.conf; exec {command}'")
    child = story.start(script)
    story.wait_text(child, "server.listening")
    story.stop(child)
    listed = next(command for _, command in blocks.commands()
                  if command.endswith("--format json"))
    slot, = json.loads(story.run(listed))
    assert (slot["slot_name"], slot["temporary"]) == ("my_slot", False)
