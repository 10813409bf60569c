"""docker-compose.yml: valid, and what it starts works."""

import shutil
import subprocess

import pytest

import tools
from place import REPOSITORY
from test_run import attach, events, healthy
from waiting import until

SERVICES = {"walstream": "walstream",
            "walstream-permanent": "walstream_permanent"}
TEXT = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")

# What a schema-aware reader has to refuse: a key nobody knows, one in the
# wrong place, a type, a reference.
BROKEN = {
    "unknown key": ("    restart: unless-stopped", "    restrat: always"),
    "unknown top level": ("services:", "servcies: {}\nservices:"),
    "type": ("      retries: 5", "      retries: [5]"),
    "health key": ("      interval: 5s", "      intervall: 5s"),
    "no such volume": ("\nvolumes:\n  db:\n", "\n"),
    "no such service": ("    db:\n      condition:",
                        "    dbx:\n      condition:"),
}


def test_valid():
    done = tools.compose("--profile", "*", "config", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("flaw", BROKEN)
def test_broken_is_refused(tmp_path, flaw):
    """So that test_valid says something."""
    good, bad = BROKEN[flaw]
    assert good in TEXT
    copy = tmp_path / "docker-compose.yml"
    copy.write_text(TEXT.replace(good, bad, 1), encoding="utf-8")
    done = tools.compose("--profile", "*", "config", "--quiet", file=copy)
    assert done.returncode != 0
    assert done.stderr


def test_services(composition):
    """Two without a profile, a third with one."""
    services = composition["services"]
    assert set(services) == {"db", *SERVICES}
    assert services["walstream-permanent"]["profiles"] == ["permanent"]
    for name, port in (("walstream", "50051"),
                       ("walstream-permanent", "50052")):
        published, = services[name]["ports"]
        assert published["published"] == port
        assert published["target"] == 50051
        assert published["host_ip"] == "127.0.0.1"
    assert "ports" not in services["db"]


@pytest.mark.parametrize("name", SERVICES)
def test_confined(composition, name):
    service = composition["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert service["depends_on"]["db"]["condition"] == "service_healthy"


def test_password_is_the_operators():
    """From POSTGRES_PASSWORD, the same for both; not in any argument."""
    for env, password in (({}, "postgres"),
                          ({"POSTGRES_PASSWORD": "else"}, "else")):
        services = tools.composition(env)["services"]
        db = services.pop("db")
        assert db["environment"]["POSTGRES_PASSWORD"] == password
        for service in services.values():
            assert service["environment"]["PGPASSWORD"] == password
            assert "else" not in " ".join(service["command"])


def test_mounts(composition):
    """The script goes where the postgres image looks for it, and PostgreSQL
    18's files where that image has a volume."""
    mounts = {mount["target"]: mount
              for mount in composition["services"]["db"]["volumes"]}
    scripts = mounts.pop("/docker-entrypoint-initdb.d")
    assert scripts["read_only"] is True
    assert (REPOSITORY / scripts["source"]).samefile(
        REPOSITORY / "docker-entrypoint-initdb.d")
    files, = mounts.values()
    assert composition["services"]["db"]["image"].startswith("postgres:18-")
    assert (files["type"], files["target"]) == ("volume",
                                                "/var/lib/postgresql")


def test_settings(sql):
    """PostgreSQL takes what the command sets."""
    assert sql("SHOW wal_level") == [("logical",)]
    assert sql("SHOW max_slot_wal_keep_size") == [("4GB",)]


def test_database_health(composition, network, bare):
    """Healthy is who answers by TCP: not the server of the image's initdb,
    which listens on the Unix socket alone."""
    kind, *command = composition["services"]["db"]["healthcheck"]["test"]
    assert kind == "CMD"
    command[0] = shutil.which(command[0])
    assert network.run(*command).returncode == 0
    alone = subprocess.run(["unshare", "--net", *command], timeout=60,
                           capture_output=True, check=False)
    assert alone.returncode == 2
    assert bare is network


@pytest.mark.parametrize("name", SERVICES)
def test_walstream(launch, native, network, composition, sql, name):
    """Its very command and environment, in a network where db is the
    database: events arrive, and the slot is of the kind promised."""
    service, slot = composition["services"][name], SERVICES[name]
    one = launch(native, service["command"], network,
                 env=service["environment"])
    one.wait_listening()
    assert healthy(one) == 0
    tail = attach(launch, one, network, "--count", "1", "--ack")
    sql("INSERT INTO t VALUES (1, 'tea')")
    assert tail.wait(30) == 0
    event, = events(tail)
    assert (event["op"], event["table"]) == ("insert", "t")
    assert one.stop()[0] == 0
    check_slot(launch, native, network, composition, sql, slot)


def check_slot(launch, image, network, composition, sql, slot):
    """A temporary one is gone; a permanent one goes as the file says."""
    def left():
        return sql("SELECT slot_name FROM pg_replication_slots")
    if slot == "walstream":
        until(lambda: left() == [], 10, "the slot to go")
        return
    assert left() == [(slot,)]
    env = composition["services"]["walstream"]["environment"]
    delete = launch(image, ("delete", "--slot", slot), network, env=env)
    assert delete.wait() == 0, delete.text()
    assert left() == []
