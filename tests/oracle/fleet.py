"""The clients of a round: who is there, comes, goes and comes back."""

import json
import os
import signal
import time

import kinds
from child import Child

MOST = 6
HEAVY_LIFE = 6  # s that one may hold everything back
REQUIRED = "boss"


class Client:
    """One name, with a process for each of its lives."""

    def __init__(self, spec):
        self.spec = spec
        self.name = spec["name"]
        self.link = spec["link"]
        self.life = 0
        self.child = None
        self.born = 0
        self.stopped = False
        self.back_at = None   # it is away, until then
        self.placed = False
        self.flag = 0         # the newest that it was sent
        self.codes = []       # its streams ended with

    def heavy(self):
        return self.spec["policy"] in ("never", "slow")

    def hear(self, timeout=0):
        """Takes in what it said; False when there was nothing."""
        line = self.child.hear(timeout)
        if line is None:
            return False
        word, *rest = line.split()
        if word == "placed":
            self.placed = True
        elif word == "ended":
            self.placed = False
            self.codes.append(rest[0])
        elif word == "flag":
            self.flag = int(rest[0])
        return True


class Fleet:
    """deaths: (time, name, life) of every process that was killed."""

    def __init__(self, rng, link, stubs, directory, note, subscriptions):
        self._rng = rng
        self._link = link          # its name -> port
        self._stubs = str(stubs)
        self._dir = str(directory)
        self._note = note
        self._subscriptions = subscriptions
        self._number = 0
        self._errors = open(os.path.join(self._dir, "clients.err"), "ab")
        self.clients = []
        self.deaths = []

    def live(self):
        return [one for one in self.clients if one.child is not None]

    # Coming

    def join(self, kind=None, name=None):
        self._number += 1
        kind = kind or kinds.draw(self._rng, self._subscriptions)
        name = name or f"c{self._number}-{kind['policy']}"
        link = f"c{self._number}"
        spec = {**kind, "name": name, "link": link, "dir": self._dir, "stubs": self._stubs,
                "seed": self._rng.random(), "start": dict(
                    kind.get("start") or {})}
        if spec.pop("named", False):
            if spec["method"] == "Subscribe":
                spec["start"]["consumer"] = name
            else:
                spec["header"] = name
        spec["address"] = f"127.0.0.1:{self._link(link)}"
        client = Client(spec)
        self.clients.append(client)
        self._born(client)
        return client

    def _born(self, client):
        client.life += 1
        client.born = time.monotonic()
        client.back_at, client.stopped, client.placed = None, False, False
        client.child = Child("consumer.py", json.dumps(
            {**client.spec, "life": client.life}), self._errors)

    # Going

    def pick(self):
        live = [one for one in self.live() if not one.stopped]
        return self._rng.choice(live) if live else None

    def kill(self, client):
        self.deaths.append((time.monotonic(), client.name, client.life))
        self._note("killed", client=client.name, life=client.life)
        client.child.signal(signal.SIGKILL)
        client.child.end()
        self._gone(client, comes_back=self._rng.random() < 0.6)

    def leave(self, client, comes_back=None):
        client.child.tell("leave")
        if comes_back is None:
            comes_back = self._rng.random() < 0.3
        self._finish(client)
        self._gone(client, comes_back)

    def _finish(self, client):
        """Waits until it says that it has left."""
        deadline = time.monotonic() + 10
        while client.hear(deadline - time.monotonic()):
            pass
        if client.child.alive() and time.monotonic() >= deadline:
            self._note("stuck", client=client.name)
            self.deaths.append((time.monotonic(), client.name, client.life))
        client.child.end()

    def _gone(self, client, comes_back):
        client.child = None
        if comes_back or client.spec.get("store") or client.name == REQUIRED:
            client.back_at = time.monotonic() + self._rng.random()
        else:
            self.clients.remove(client)

    def pause(self, client, on):
        client.stopped = on
        if client.child is not None:
            client.child.signal(signal.SIGSTOP if on else signal.SIGCONT)

    # In between

    def tick(self):
        now = time.monotonic()
        for client in list(self.clients):
            if client.child is None:
                if now >= client.back_at:
                    self._born(client)
                continue
            while client.hear():
                pass
            if not client.child.alive():
                raise RuntimeError(f"client {client.name} ended by itself")
            if client.heavy() and not client.stopped and \
                    now > client.born + HEAVY_LIFE:
                self.leave(client, comes_back=False)

    # The end of a round

    def settle(self, timeout):
        """Everybody back, prompt, and with a stream in place."""
        for client in self.clients:
            if client.child is None:
                self._born(client)
        if not any(kinds.stays(one.spec) for one in self.clients):
            self.join(kinds.PLAIN)
        for client in self.clients:
            self.pause(client, False)
            client.child.tell("drain")
            client.child.tell("settle")
        return self._wait(lambda one: one.placed, timeout)

    def wait_flag(self, tx, timeout):
        return self._wait(lambda one: one.flag == tx, timeout)

    def _wait(self, condition, timeout):
        """Those for whom condition() has not come true in time."""
        deadline = time.monotonic() + timeout
        while True:
            for client in self.clients:
                while client.hear():
                    pass
            late = [one for one in self.clients if not condition(one)]
            if not late or time.monotonic() > deadline:
                return late
            time.sleep(0.01)

    def lie(self):
        """One of them acks one more than it was sent: what came of it."""
        able = [one for one in self.clients if kinds.stays(one.spec)
                and not (one.spec["start"]).get("exact")]
        if not able:
            return None, None
        client = self._rng.choice(able)
        del client.codes[:]
        client.child.tell("lie")
        deadline = time.monotonic() + 5
        while not client.codes and client.hear(deadline - time.monotonic()):
            pass
        return client, client.codes[0] if client.codes else None

    def close(self):
        """All leave."""
        for client in self.live():
            self.pause(client, False)
            client.child.tell("leave")
        for client in self.live():
            self._finish(client)
            client.child = None
        self._errors.close()

    def abandon(self):
        for client in self.live():
            client.child.signal(signal.SIGKILL)
            client.child.end()
        self._errors.close()
