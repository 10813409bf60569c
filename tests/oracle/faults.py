"""The faults, and how often each is drawn.

A fault is a function of the scene and the generator; it returns what it did,
in words, or None when there was nothing to do it to. What it began it has
ended later by the scene.
"""

import os
import signal

FAST_SHUTDOWN = 20  # s, with everything that may hold it up for a while


# walstream

def walstream_kill(scene, _rng):
    return "kill -9" if scene.daemon.signal(signal.SIGKILL) else None


def walstream_term(scene, rng):
    if not scene.daemon.signal(signal.SIGTERM):
        return None
    if rng.random() < 0.2:
        scene.later(rng.random() * 0.3,
                    lambda: scene.daemon.signal(signal.SIGTERM))
        return "SIGTERM twice"
    return "SIGTERM"


def walstream_stop(scene, rng):
    if not scene.daemon.signal(signal.SIGSTOP):
        return None
    seconds = rng.choice((0.1, 0.5, 0.5, 1.5, 1.5, 4.5))
    scene.disturb("walstream stopped", seconds)
    pid = scene.daemon.life.pid
    scene.later(seconds, lambda: resume(pid))
    return f"stopped for {seconds} s"


def resume(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


# PostgreSQL

def walsender_terminate(scene, _rng):
    return send_walsender(scene, signal.SIGTERM)


def walsender_kill(scene, _rng):
    pid = send_walsender(scene, signal.SIGKILL)
    if pid is not None:
        scene.cluster.crashed()
        scene.disturb("PostgreSQL starts over", 4)
    return pid


def walsender_stop(scene, rng):
    pid = send_walsender(scene, signal.SIGSTOP)
    if pid is None:
        return None
    seconds = rng.choice((0.1, 0.4, 1, 2))
    scene.disturb("walsender stopped", seconds)
    scene.later(seconds, lambda: send_walsender(scene, signal.SIGCONT, pid))
    return f"{pid} for {seconds} s"


def send_walsender(scene, sig, pid=None):
    """Returns its PID, or None when it is not (or no longer) there."""
    pid = pid or scene.sampler.walsender
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            if b"walsender" not in cmdline.read():
                return None
        os.kill(pid, sig)
    except OSError:
        return None
    return pid


def postmaster_kill(scene, _rng):
    scene.resume_all()
    with scene.disturbed("postmaster killed"):
        scene.cluster.kill()
    return "kill -9 of the postmaster"


def postmaster_stop(scene, rng):
    """Nobody gets a connection meanwhile; those there are go on."""
    pid = scene.cluster.postmaster()
    if pid is None:
        return None
    seconds = rng.choice((0.2, 0.5, 1, 1.5))
    os.kill(pid, signal.SIGSTOP)
    scene.disturb("postmaster stopped", seconds)
    scene.later(seconds, lambda: resume(pid))
    return f"stopped for {seconds} s"


def postgres_immediate(scene, _rng):
    scene.resume_all()
    with scene.disturbed("immediate restart"):
        scene.cluster.again("immediate", 10)
    return "immediate restart"


def postgres_fast(scene, _rng):
    scene.resume_all()
    with scene.disturbed("fast restart") as took:
        if not scene.cluster.again("fast", FAST_SHUTDOWN):
            scene.problem("o10", f"a fast shutdown of PostgreSQL took more"
                          f" than {FAST_SHUTDOWN} s", scene.daemon.tail())
    return f"fast restart, {took():.1f} s"


# Clients

def client_kill(scene, _rng):
    client = scene.fleet.pick()
    if client is None:
        return None
    scene.fleet.kill(client)
    return client.name


def client_stop(scene, rng):
    client = scene.fleet.pick()
    if client is None:
        return None
    seconds = rng.choice((0.2, 0.7, 2, 4))
    scene.fleet.pause(client, True)
    scene.disturb("client stopped", seconds)
    scene.later(seconds, lambda: scene.fleet.pause(client, False))
    return f"{client.name} for {seconds} s"


def client_reset(scene, rng):
    client = scene.fleet.pick()
    if client is None:
        return None
    how = rng.choice(("rst", "rst", "fin"))
    scene.tap.call("reset", client.link, how)
    return f"{client.name} {how}"


def client_join(scene, _rng):
    if len(scene.fleet.live()) >= scene.most:
        return None
    return scene.fleet.join().name


def client_burst(scene, rng):
    """Several at once."""
    room = scene.most - len(scene.fleet.live())
    if room < 2:
        return None
    return " ".join(scene.fleet.join().name
                    for _ in range(rng.randint(2, room)))


def client_leave(scene, _rng):
    client = scene.fleet.pick()
    if client is None:
        return None
    scene.fleet.leave(client)
    return client.name


def client_leave_all(scene, rng):
    names = []
    for client in list(scene.fleet.live()):
        if not client.stopped:
            scene.fleet.leave(client, comes_back=rng.random() < 0.7)
            names.append(client.name)
    return " ".join(names) or None


# The network

def postgres_cut(scene, rng):
    way = rng.choice(("up", "down", "down"))
    after = rng.choice((rng.randint(1, 200), rng.randint(200, 60000)))
    if way == "up":
        after = rng.randint(1, 200)
    how = rng.choice(("rst", "fin"))
    scene.tap.call("cut", "pg", way, after, how)
    return f"{how} after {after} bytes {way}"


def postgres_stall(scene, rng):
    seconds = rng.choice((0.2, 0.5, 1, 1, 4.5))
    scene.tap.call("stall", "pg", seconds)
    scene.disturb("link to PostgreSQL stalled", seconds)
    return f"for {seconds} s"


def postgres_drip(scene, rng):
    way, count = rng.choice(("up", "down")), rng.randint(50, 3000)
    scene.tap.call("drip", "pg", way, count)
    scene.disturb("link to PostgreSQL byte by byte", 2)
    return f"{count} bytes {way}"


def client_cut(scene, rng):
    client = scene.fleet.pick()
    if client is None:
        return None
    way = rng.choice(("up", "down", "down"))
    after = rng.choice((rng.randint(1, 100), rng.randint(100, 20000)))
    how = rng.choice(("rst", "fin"))
    scene.tap.call("cut", client.link, way, after, how)
    return f"{client.name} {how} after {after} bytes {way}"


def client_stall(scene, rng):
    client = scene.fleet.pick()
    if client is None:
        return None
    seconds = rng.choice((0.2, 1, 2))
    scene.tap.call("stall", client.link, seconds)
    scene.disturb("client stalled", seconds)
    return f"{client.name} for {seconds} s"


def client_drip(scene, rng):
    client = scene.fleet.pick()
    if client is None:
        return None
    way, count = rng.choice(("up", "down")), rng.randint(50, 3000)
    scene.tap.call("drip", client.link, way, count)
    scene.disturb("client byte by byte", 2)
    return f"{client.name} {count} bytes {way}"


WEIGHTS = {
    walstream_kill: 6,
    walstream_term: 4,
    walstream_stop: 3,
    walsender_terminate: 5,
    walsender_kill: 1.5,
    walsender_stop: 2,
    postmaster_kill: 1.5,
    postmaster_stop: 1.5,
    postgres_immediate: 1.5,
    postgres_fast: 1.5,
    client_kill: 6,
    client_stop: 4,
    client_reset: 5,
    client_join: 7,
    client_burst: 3,
    client_leave: 5,
    client_leave_all: 1,
    postgres_cut: 6,
    postgres_stall: 2.5,
    postgres_drip: 2.5,
    client_cut: 4,
    client_stall: 2.5,
    client_drip: 2.5,
}


def table(only=None):
    """(functions, weights) of all, or of those named."""
    chosen = {one: weight for one, weight in WEIGHTS.items()
              if only is None or one.__name__ in only}
    return list(chosen), list(chosen.values())


def by_name(name):
    return next(one for one in WEIGHTS if one.__name__ == name)
