"""Services and password files, and that no secret is shown."""

import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile

import psycopg
import pytest

from pgserver import unprivileged
from proc import Server, binary, environment, fails, is_program, run
from roles import PASSWORD
from waiting import until

CANARY = "PENCIL-of-the-key"


def escaped(text):
    return text.replace("\\", "\\\\").replace(":", "\\:")


class Home:
    """A home directory, named so that a program in a chroot gets it, too."""

    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="walstream-pg-"))
        self.env = {"HOME": str(self.path)}

    def write(self, name, text, mode=0o600):
        file = self.path / name
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    def passwords(self, *lines):
        return self.write(".pgpass", "".join(
            f"{line}:{escaped(PASSWORD)}\n" for line in lines))


@pytest.fixture
def home():
    one = Home()
    yield one
    shutil.rmtree(one.path)


def lists(connection, env):
    done = run("-c", connection, "list", env=env)
    assert done.returncode == 0, done.stderr
    return done


# Services


def test_service(pg, db, home):
    """A section of the user's file; the string comes first."""
    home.write(".pg_service.conf",
               f"[bad]\nhost=192.0.2.1\n# one of ours\n[good]\n"
               f"host=127.0.0.1\nport={pg.port}\nuser=postgres\n"
               f"dbname={db.name}\n[scram]\nhost=127.0.0.1\n"
               f"port={pg.port}\nuser=auth_scram\npassword={PASSWORD}\n"
               f"dbname=nowhere\n")
    lists("service=good", home.env)
    lists("postgres:///?service=good", home.env)
    lists("", {**home.env, "PGSERVICE": "good"})
    lists("service=good", {**home.env, "PGHOST": "192.0.2.1",
                           "PGSERVICE": "bad"})
    lists(f"service=scram dbname={db.name}", home.env)
    fails("-c", "service=scram", "list", env=home.env, naming=["nowhere"],
          code=1)


def test_service_file(pg, db, home):
    """Files that are named, and that of the system."""
    text = f"[s]\nhost=127.0.0.1\nport={pg.port}\nuser=postgres\n" \
        f"dbname={db.name}\n"
    file = home.write("pg_service.conf", text, 0o644)
    lists("service=s", {"PGSERVICEFILE": str(file)})
    lists(f"service=s servicefile={file}", {"PGSERVICEFILE": "/none"})
    lists("service=s", {"PGSYSCONFDIR": str(file.parent)})
    fails("-c", "service=s", "list", env={"PGSERVICEFILE": "/none"},
          naming=["no service file /none"], code=2)
    fails("-c", "service=s", "list", env={"PGSYSCONFDIR": "/none"},
          naming=['"s"', "/none/pg_service.conf"], code=2)


@pytest.mark.parametrize("line, naming", [
    ("service=t", "another"), ("what=ever", '"what"'), ("host", "line 3")])
def test_service_is_wrong(home, line, naming):
    """File, line and keyword are named."""
    home.write(".pg_service.conf", f"[s]\nport=1\n{line}\n")
    fails("-c", "service=s", "list", env=home.env,
          naming=[".pg_service.conf", "line 3", naming], code=2)


@pytest.mark.parametrize("connection, naming", [
    ("uzer=me", '"uzer"'), ("krbsrvname=x", '"krbsrvname"'),
    ("gssencmode=require", "GSSAPI"), ("client_encoding=LATIN1", "UTF8"),
    ("sslmode=maybe", '"sslmode" (PGSSLMODE)'), ("host=a port=1,2", "PGPORT"),
    ("postgres://h/%zz", "hexadecimal"), ("host='h", "quote")])
def test_asked_wrongly(connection, naming):
    """Exit status 2."""
    fails("-c", connection, "list", naming=[naming], code=2)


# Passwords from a file


def test_password_file(pg, db, home):
    """~/.pgpass, PGPASSFILE and passfile; a given password comes first."""
    connection = db.conninfo(user="auth_scram")
    file = home.passwords(f"127.0.0.1:{pg.port}:{db.name}:auth_scram")
    lists(connection, home.env)
    lists(connection, {"PGPASSFILE": str(file)})
    lists(connection + f" passfile={file}", {"PGPASSFILE": "/none"})
    fails("-c", connection + " password=wrong", "list", env=home.env,
          naming=["password"], code=1)
    fails("-c", connection, "list", code=1, naming=["password"],
          env={**home.env, "PGPASSWORD": "wrong"})
    fails("-c", connection, "list", env={}, naming=["none was given"], code=1)


def test_password_of_each_host(pg, db, home):
    """The one of the host that is reached counts."""
    home.write(".pgpass", "nowhere.invalid:*:*:*:wrong\n"
               f"here:*:*:auth_scram:{escaped(PASSWORD)}\n*:*:*:*:wrong\n")
    connection = db.conninfo(user="auth_scram", host="nowhere.invalid,here",
                             hostaddr=",127.0.0.1")
    lists(connection, home.env)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622, 0o610])
def test_open_to_others(pg, db, home, mode):
    """A warning, and it is as if it were not there."""
    home.passwords(f"*:{pg.port}:*:*").chmod(mode)
    done = run("-c", db.conninfo(user="auth_scram"), "list", env=home.env)
    assert done.returncode == 1
    assert " warn conninfo.file: " in done.stderr
    assert ".pgpass" in done.stderr and "none was given" in done.stderr


@pytest.mark.parametrize("kind", ["directory", "fifo", "nothing"])
def test_no_plain_file(db, home, kind):
    """Nothing is read, and nothing is waited for."""
    path = home.path / "passfile"
    if kind == "directory":
        path.mkdir(0o700)
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    done = run("-c", db.conninfo(user="auth_scram", passfile=path), "list")
    assert done.returncode == 1 and "none was given" in done.stderr
    assert ("no plain file" in done.stderr) == (kind != "nothing")


def test_link_to_file(db, home):
    """A link is as good as the file."""
    home.passwords("*:*:*:*").rename(home.path / "secret")
    (home.path / ".pgpass").symlink_to("secret")
    lists(db.conninfo(user="auth_scram"), home.env)


def test_large_files(db, home):
    """A mebibyte is the most that is read."""
    large = "# x\n" * 300000
    home.write(".pgpass", large)
    home.write(".pg_service.conf", large)
    fails("-c", db.conninfo(user="auth_scram"), "list", env=home.env,
          naming=[".pgpass", "too large"], code=1)
    fails("-c", "service=s", "list", env=home.env,
          naming=[".pg_service.conf", "too large"])


def test_password_changes(pg, db, home, server, client):
    """A connection that is made anew takes the password of then."""
    home.write(".pgpass", f"*:*:*:*:{escaped(PASSWORD)}\n")
    one = server(connection=db.conninfo(user="auth_scram"), env=home.env)
    stream = client(one)
    db.fill(1, 1)
    stream.expect(1)
    first = db.walsender()
    with pg.connect("postgres") as admin:
        admin.execute("ALTER ROLE auth_scram PASSWORD 'another'")
        try:
            home.write(".pgpass", "*:*:*:*:another\n")
            db.sql("SELECT pg_terminate_backend(%s)", (first,))
            one.wait_log("pg.lost", timeout=60)
            until(lambda: db.walsender() not in (None, first), 60,
                  "a new walsender")
        finally:
            admin.execute(psycopg.sql.SQL(
                "ALTER ROLE auth_scram PASSWORD {}").format(PASSWORD))


# What is seen from outside


def seen(pid):
    """Command line and environment."""
    root = pathlib.Path(f"/proc/{pid}")
    return (root / "cmdline").read_bytes() + (root / "environ").read_bytes()


def test_not_in_proc(db, server, client):
    """Neither --connection nor PGPASSWORD, once it runs; nor in the log."""
    connection = db.conninfo(user="auth_scram", password=PASSWORD,
                             sslpassword=CANARY)
    assert PASSWORD.split(" ")[0] in connection and CANARY in connection
    one = server("--log-level", "debug", connection=connection,
                 env={"PGPASSWORD": CANARY, "CONNECTION": CANARY})
    stream = client(one)
    db.fill(1, 1)
    stream.expect(1)
    shown = seen(one.pid)
    assert b"walstream" in shown and b"HOME=" in shown
    assert b"sslpassword" not in shown
    assert CANARY.encode() not in shown
    db.sql("SELECT pg_terminate_backend(%s)", (db.walsender(),))
    one.wait_log("replication.started", 2, timeout=60)
    logged = one.text(10 ** 6)
    assert CANARY not in logged and PASSWORD not in logged


def test_not_in_variable(db):
    """CONNECTION is overwritten when it is what is used."""
    one = Server("start", "pub", db.slot, "--host", "127.0.0.1", "--port",
                 "0", "--drain", "1", env={
                     "CONNECTION": db.conninfo(
                         user="auth_scram", password=PASSWORD,
                         sslpassword=CANARY)})
    try:
        one.wait_listening()
        assert b"HOME=" in seen(one.pid)
        assert CANARY.encode() not in seen(one.pid)
        assert PASSWORD.encode() not in seen(one.pid)
    finally:
        one.finish()


@pytest.mark.parametrize("connection", [
    "host=h password={} x=y", "postgres://u:{}/@h?x=y", "password='{} ",
    "password=x {}=y", "port={}", "sslpassword={} sslmode=maybe"])
def test_not_in_errors(connection):
    """However badly it is quoted."""
    text = connection.format(CANARY)
    assert CANARY not in fails("-c", text, "--log-level", "debug", "list",
                               code=2)


@pytest.fixture
def program():
    """The program where anybody can run it."""
    if not is_program():
        pytest.skip("a wrapper that needs root runs it")
    place = pathlib.Path(tempfile.mkdtemp(prefix="walstream-bin-"))
    place.chmod(0o755)
    shutil.copy(binary(), place / "walstream")
    (place / "walstream").chmod(0o755)
    yield str(place / "walstream")
    shutil.rmtree(place)


def lift_limit():
    # which a shell has its background jobs ignore
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def spawn(*command):
    """As somebody who is not root."""
    return subprocess.Popen(
        command, env=environment(), cwd="/tmp", stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=lift_limit, **unprivileged())


def ended(pid):
    """(pid, status) once it has."""
    got = os.waitpid(pid, os.WNOHANG)
    return got if got[0] else None


def test_not_in_memory(db, program):
    """No core file has it, and none of our processes may look at it."""
    child = spawn(program, "-c", db.conninfo(), "start", "pub", db.slot,
                  "-p", "0", "-h", "127.0.0.1")
    other = spawn("/bin/sleep", "1000")
    try:
        until(lambda: db.one("SELECT count(*) FROM pg_replication_slots"
                             " WHERE slot_name = %s", (db.slot,)), 30,
              "walstream to connect")
        assert os.stat(f"/proc/{child.pid}/mem").st_uid == 0
        assert os.stat(f"/proc/{other.pid}/mem").st_uid != 0
    finally:
        dumped = {}
        for one in (child, other):
            one.send_signal(signal.SIGQUIT)
            _, status = until(lambda: ended(one.pid), 30, "it to end")
            one.returncode = status
            dumped[one] = os.WCOREDUMP(status)
    assert not dumped[child], f"sleep's was {dumped[other]}"
