"""The kinds of clients, and how often each is drawn.

named: the consumer has the client's name. The rest is for consumer.py.
"""


def session(policy, **more):
    return {"method": "Session", "policy": policy, **more}


def subscribe(policy, start=None, **more):
    return {"method": "Subscribe", "policy": policy, "start": start or {},
            **more}


SESSIONS = (
    (8, session("prompt")),
    (2, session("lazy")),
    (2, session("middle")),
    (2, session("never")),
    (2, session("slow")),
    (1, session("stutter")),
    (1, session("liar")),
    (2, session("observer")),
    (1, session("tired")),
    (1, session("prompt", named=True)),
    (1, session("lazy", named=True)),
)

EXACT = {"exact": True, "progress_interval_ms": 200}

SUBSCRIPTIONS = (
    (2, subscribe("prompt")),
    (1, subscribe("middle")),
    (1, subscribe("stutter")),
    (1, subscribe("liar")),
    (1, subscribe("never", EXACT)),
    (2, subscribe("prompt", named=True)),
    (2, subscribe("lazy", named=True)),
    (3, subscribe("prompt", EXACT, named=True, store=True)),
    (1, subscribe("lazy", EXACT, store=True)),
    (2, subscribe("prompt", store=True)),
    (2, subscribe("prompt", {"tables": ["public.u"]})),
    (2, subscribe("lazy", {"tables": ["*.s*", "public.t"]}, named=True)),
    (1, subscribe("prompt", {"operations": [1, 3]}, store=True)),
    (1, subscribe("middle", {"tables": ["*.t", "*.u"], "operations": [1]})),
    (2, subscribe("prompt", {"batch": True})),
    (1, subscribe("slow", {"batch": True, "max_batch_bytes": 2000})),
    (1, subscribe("lazy", {"batch": True, "tables": ["*.t", "*.u"]},
                  store=True)),
    (2, subscribe("prompt", {"observer": True})),
    (1, subscribe("observer", {"batch": True})),
    (1, subscribe("tired", named=True)),
)

REQUIRED = subscribe("prompt", named=True)
PLAIN = session("prompt")


def draw(rng, subscriptions):
    table = SESSIONS + (SUBSCRIPTIONS if subscriptions else ())
    kind, = rng.choices([kind for _, kind in table],
                        [weight for weight, _ in table])
    return kind


def votes(spec):
    """Does its stream take part in the quorum while it is open?"""
    return spec["policy"] != "observer" and not (
        spec.get("start") or {}).get("observer")


def stays(spec):
    """Does it vote to the end?"""
    return votes(spec) and spec["policy"] != "tired"


def consumer_name(spec):
    return (spec.get("start") or {}).get("consumer") or spec.get("header")
