"""The command line: help, options, list and delete."""

import json
import re

import pytest

from proc import Server, fails, run

OPTIONS = {
    "start": ["--publication", "--slot", "--port", "--host", "--temporary",
              "--buffer-size", "--log-level"],
    "list": ["--format"],
    "delete": ["--slot"],
    "tail": ["--count", "--ack", "--quiet", "--format"],
}


@pytest.fixture
def slots(db):
    """A logical, a physical and a temporary slot; their names."""
    names = [db.name + kind for kind in ("_logical", "_physical", "_temp")]
    db.sql("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')",
           (names[0],))
    db.sql("SELECT pg_create_physical_replication_slot(%s)", (names[1],))
    with db.connect() as holder:
        holder.execute("SELECT pg_create_logical_replication_slot("
                       "%s, 'test_decoding', true)", (names[2],))
        yield names


def test_help():
    """--help names every command and the global option."""
    done = run("--help")
    assert done.returncode == 0
    for word in (*OPTIONS, "--connection", "--version"):
        assert word in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_command(command):
    """COMMAND --help names each of its options and what start reads."""
    done = run(command, "--help")
    assert done.returncode == 0
    for option in OPTIONS[command]:
        assert option in done.stdout
    if command == "start":
        for word in ("PORT", "HOST", "TEMPORARY", "50051", "-p", "-h", "-t"):
            assert word in done.stdout


def test_version():
    """--version prints one line with a number."""
    done = run("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"walstream \d+\.\d+\S*.*\n", done.stdout)


@pytest.mark.parametrize("args", [
    ["--nothing"], ["nothing"], [], ["start", "--nothing"],
    ["start", "pub"], ["start", "--slot", "s"], ["start", "p", "s", "more"],
    ["start", "--publication"], ["delete"], ["list", "--format", "xml"],
    ["tail", "--count", "many"], ["tail", "--format", "xml"],
    ["start", "p", "s", "--port", "65536"], ["start", "p", "s", "--port", "x"],
    ["start", "p", "s", "--temporary", "maybe"],
    ["start", "p", "s", "--buffer-size", "1XiB"],
    ["start", "p", "s", "--buffer-size", "-1"],
    ["start", "p", "s", "--max-event", "63KiB"],
    ["start", "p", "s", "--max-event", "3GiB"],
    ["start", "p", "s", "--log-level", "loud"],
    ["-c", "host=x nothing=y", "list"], ["-c", "postgres://[", "list"],
    ["-c", "host='open", "list"], ["-c", "port=0", "list"],
])
def test_asked_wrongly(args):
    """What cannot be understood exits with 2 and says why, briefly."""
    done = run(*args)
    assert done.returncode == 2
    assert done.stderr.strip() and len(done.stderr.splitlines()) < 20
    assert done.stdout == ""


def test_unknown_conninfo_keyword():
    """The keyword is named, the password is not."""
    line = fails("-c", "colour=red password=hush", "list", naming=["colour"],
                 code=2)
    assert "hush" not in line


def started(db, *args, env=None):
    """Runs a start command; it must listen, on slot db.slot; stops it."""
    one = Server(*args, env=env)
    try:
        one.wait_listening()
        temporary = db.sql("SELECT temporary FROM pg_replication_slots"
                           " WHERE slot_name = %s", (db.slot,))
        assert len(temporary) == 1
        return one.host, one.port, temporary[0][0]
    finally:
        one.finish()


def test_option_forms(db):
    """Options as --o v, --o=v, -o v; positional; -c before and after."""
    connection = db.conninfo()
    for args in (
            ["-c", connection, "start", "--publication", "pub", "--slot",
             db.slot, "--host", "127.0.0.1", "--port", "0", "--temporary",
             "true"],
            [f"--connection={connection}", "start", "--publication=pub",
             f"--slot={db.slot}", "--host=127.0.0.1", "--port=0",
             "--temporary=true"],
            ["start", "pub", db.slot, "-h", "127.0.0.1", "-p", "0", "-t",
             "true", "-c", connection],
            ["start", "-p", "0", "-h", "127.0.0.1", "pub", db.slot,
             "--connection", connection]):
        host, port, temporary = started(db, *args)
        assert (host, temporary) == ("127.0.0.1", True) and port > 0


def test_environment(db):
    """CONNECTION, PORT, HOST and TEMPORARY stand in for options."""
    env = {"CONNECTION": db.conninfo(), "PORT": "0", "HOST": "127.0.0.1",
           "TEMPORARY": "false"}
    host, _, temporary = started(db, "start", "pub", db.slot, env=env)
    assert (host, temporary) == ("127.0.0.1", False)
    db.sql("SELECT pg_drop_replication_slot(%s)", (db.slot,))
    env["TEMPORARY"] = "false"
    _, _, temporary = started(db, "start", "pub", db.slot, "-t", "true",
                              env=env)
    assert temporary is True


def test_log_level(db):
    """--log-level rules what is logged."""
    for level, silent in (("error", True), ("info", False)):
        one = run("-c", db.conninfo(), "start", "absent", db.slot, "-p", "0",
                  "--log-level", level)
        lines = one.stderr.splitlines()
        assert len([x for x in lines if " info " in x]) == 0 or not silent
        assert one.returncode != 0 and lines


def test_list(db, slots):
    """list is an aligned table of every kind of slot."""
    done = run("-c", db.conninfo(), "list")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    header = lines[0].lower()
    assert "slot" in header and "plugin" in header
    mine = {line.split()[0]: line for line in lines
            if line.split() and line.split()[0] in slots}
    assert sorted(mine) == sorted(slots)
    assert "logical" in mine[slots[0]] and "pgoutput" in mine[slots[0]]
    assert "physical" in mine[slots[1]]
    assert "test_decoding" in mine[slots[2]]
    assert re.search(r"[0-9A-F]+/[0-9A-F]+", mine[slots[0]])
    for column in (m.start() for m in re.finditer(r"(?<=  )\S", lines[0])):
        for line in mine.values():
            assert line[column - 1:column] in ("", " "), "not aligned"
    assert not any(line != line.rstrip() for line in lines)


def test_list_json(db, slots):
    """list --format json parses and agrees with PostgreSQL."""
    done = run("-c", db.conninfo(), "list", "--format", "json")
    assert done.returncode == 0, done.stderr
    try:
        rows = json.loads(done.stdout)
    except ValueError:  # one object a line
        rows = [json.loads(line) for line in done.stdout.splitlines()]
    mine = {row["slot_name"]: row for row in rows
            if row["slot_name"] in slots}
    assert sorted(mine) == sorted(slots)
    for name, kind, plugin, database, temporary, confirmed in db.sql(
            "SELECT slot_name, slot_type, plugin, database, temporary,"
            " confirmed_flush_lsn::text FROM pg_replication_slots"):
        if name in slots:
            row = mine[name]
            assert row["slot_type"] == kind
            assert row["plugin"] == plugin
            assert row["database"] == database
            assert row["temporary"] is temporary
            assert row["confirmed_flush_lsn"] == confirmed


def test_list_nothing(db):
    """list of no slots exits 0, and its JSON parses."""
    assert run("-c", db.conninfo(), "list").returncode == 0
    done = run("-c", db.conninfo(), "list", "--format=json")
    assert done.returncode == 0
    if done.stdout.strip():
        json.loads(done.stdout)


@pytest.mark.parametrize("positional", [False, True])
def test_delete(db, slots, positional):
    """delete drops the slot, logical or physical, and that one only."""
    for i, slot in enumerate(slots[:2]):
        option = [] if positional else ["--slot"]
        done = run("-c", db.conninfo(), "delete", *option, slot)
        assert done.returncode == 0, done.stderr
        assert sorted(db.slots()) == sorted(slots[i + 1:])


def test_delete_missing(db):
    """delete of a slot that is not there says so and exits 1."""
    fails("-c", db.conninfo(), "delete", "--slot", "not_there",
          naming=["not_there"], code=1)


def test_delete_active(db, server):
    """delete of a slot in use says so and exits 1; the slot stays."""
    server(temporary=True)
    fails("-c", db.conninfo(), "delete", db.slot, naming=[db.slot], code=1)
    assert db.slots() == [db.slot]


@pytest.mark.parametrize("name", [
    "x'); DROP TABLE t; --", "x\"; DROP TABLE t; --", "'", '"', "\\", "a b",
    "Upper", "", "x" * 64, "x\ny", "é"])
def test_delete_injection(db, name):
    """A name no slot can have is refused, and nothing is executed."""
    done = run("-c", db.conninfo(), "delete", "--slot", name)
    assert done.returncode > 0
    assert done.stderr.strip()
    assert db.one("SELECT count(*) FROM t") == 0


@pytest.mark.parametrize("command", [["list"], ["delete", "s"]])
def test_unreachable(command):
    """list and delete without PostgreSQL exit 1 with one line."""
    fails("-c", "host=127.0.0.1 port=1 user=u dbname=d", *command,
          naming=["127.0.0.1"], code=1)
