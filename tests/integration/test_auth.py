"""Ways to connect and to authenticate."""

import urllib.parse

import pytest

from proc import fails, run
from roles import PASSWORD


def quote(text):
    return urllib.parse.quote(text, safe="")


def lists(connection, env=None):
    """The connection works: list can be run over it."""
    options = [] if connection is None else ["-c", connection]
    done = run(*options, "list", env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("method", ["trust", "password", "md5", "scram"])
def test_method(db, server, client, method):
    """trust, cleartext, MD5 and SCRAM-SHA-256 work, for replication too."""
    connection = db.conninfo(user="auth_" + method, password=PASSWORD)
    lists(connection)
    stream = client(server(connection=connection))
    db.fill(1, 1)
    stream.expect(1)


@pytest.mark.parametrize("method", ["password", "md5", "scram"])
@pytest.mark.parametrize("password", ["wrong", "", PASSWORD + " "])
def test_wrong_password(db, method, password):
    """A wrong password: one line that names the user, and not the word."""
    user = "auth_" + method
    connection = db.conninfo(user=user, password=password)
    line = fails("-c", connection, "start", "pub", db.slot, "-p", "0",
                 "-h", "127.0.0.1", naming=["password"], code=1)
    if password:
        assert user in line
    assert PASSWORD not in line and "wrong" not in line


@pytest.mark.parametrize("method", ["password", "md5", "scram"])
def test_no_password(db, method):
    """A password is asked for and none was given: it says so."""
    fails("-c", db.conninfo(user="auth_" + method), "list",
          naming=["password"], code=1)


def test_refused_by_hba(db):
    """pg_hba.conf says no: PostgreSQL's words are passed on."""
    fails("-c", db.conninfo(user="auth_refused"), "list",
          naming=["auth_refused", "28000"], code=1)


def test_unknown_role(db):
    """A role that is not there is named."""
    fails("-c", db.conninfo(user="no_such_role"), "list",
          naming=["no_such_role"], code=1)


def test_unix_socket(pg, db, server, client):
    """A host with a slash is the directory of a Unix socket."""
    connection = db.conninfo(host=pg.dir)
    lists(connection)
    stream = client(server(connection=connection))
    db.fill(1, 1)
    stream.expect(1)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_uri(pg, db, server, client, scheme):
    """A URI with everything percent-encoded that can be."""
    connection = (f"{scheme}://auth_scram:{quote(PASSWORD)}@127.0.0.1:"
                  f"{pg.port}/{db.name}?application_name=from%20a%20uri")
    stream = client(server(connection=connection))
    db.fill(1, 1)
    stream.expect(1)
    assert db.one("SELECT application_name FROM pg_stat_replication"
                  " WHERE pid = %s", (db.walsender(),)) == "from a uri"


def test_uri_of_socket(pg, db):
    """A URI whose host is an encoded directory, or a parameter."""
    lists(f"postgres://postgres@{quote(pg.dir)}:{pg.port}/{db.name}")
    lists(f"postgres:///{db.name}?host={quote(pg.dir)}&port={pg.port}"
          "&user=postgres")


def test_pg_environment(pg, db):
    """PG* variables stand in for what the connection string leaves out."""
    env = {"PGHOST": "127.0.0.1", "PGPORT": str(pg.port),
           "PGUSER": "auth_scram", "PGDATABASE": db.name,
           "PGPASSWORD": PASSWORD}
    lists(None, env)
    lists("", env)
    lists(f"host={pg.dir} user=postgres", {**env, "PGHOST": "192.0.2.1"})
    fails("-c", "user=auth_md5 password=wrong", "list", env=env,
          naming=["auth_md5"], code=1)


def test_connection_variable(db):
    """CONNECTION is the option's stand-in; the option comes first."""
    lists(None, {"CONNECTION": db.conninfo()})
    lists(db.conninfo(), {"CONNECTION": "host=192.0.2.1 port=1"})


def test_options(db, server, client):
    """The keyword options reaches the session; ours stay pinned."""
    connection = db.conninfo(
        options="-c wal_sender_timeout=7s -c TimeZone=Asia/Tokyo")
    db.sql("ALTER TABLE t ADD w timestamptz")
    stream = client(server(connection=connection))
    db.sql("INSERT INTO t VALUES (1, '', '2024-01-01 00:00:00+00')")
    assert '"2024-01-01T00:00:00+00:00"' in stream.expect(1)[0].payload


def test_application_name(db, server, client):
    """application_name is what was given, or walstream."""
    client(server(connection=db.conninfo(application_name="mine")))
    pid = db.wait_walsender()
    assert db.one("SELECT application_name FROM pg_stat_activity"
                  " WHERE pid = %s", (pid,)) == "mine"


def test_keyword_forms(pg, db):
    """Spaces around =, quotes and backslashes, as libpq reads them."""
    lists(f"  host = '127.0.0.1'  port={pg.port} user=postgres"
          f" dbname='{db.name}' ")
    lists(f"host=127.0.0.1 port={pg.port} user=auth\\_scram"
          f" dbname={db.name} password='"
          + PASSWORD.replace("\\", "\\\\").replace("'", "\\'") + "'")
