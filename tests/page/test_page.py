"""The page as a browser shows it, with real streams behind it."""

import contextlib
import copy
import itertools
import json
import math
import random
import time
import urllib.request

import pytest

from client import Client
from load import Load
from place import SHOTS
from standin import StandIn
from subscriber import Subscriber
from waiting import until

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
PHONE = {"width": 360, "height": 780, "phone": True}
DESKTOP = {"width": 1280, "height": 900}
VIEWS = {"desktop": DESKTOP, "phone": PHONE}


def state_of(server):
    with urllib.request.urlopen(server.url + "status.json") as answer:
        return json.load(answer)


def page_of(server):
    with urllib.request.urlopen(server.url) as answer:
        return answer.read()


def live(page):
    page.wait("document.querySelector('#live').textContent === 'Live'")
    return page


def row(name):
    """The row of a stream, as an expression."""
    return ("[...document.querySelectorAll('#rows tr')].find(r =>"
            f" r.querySelector('b').textContent === {json.dumps(name)})")


def assert_fits(page):
    """Nothing sticks out to the right, of the page or of a box."""
    wide = page.js("document.documentElement.scrollWidth")
    assert wide <= page.view[0], f"{wide} px wide, of {page.view[0]}"
    out = page.js("[...document.querySelectorAll('main *, header *')]"
                  ".filter(e => !e.closest('.unseen') && "
                  "e.getBoundingClientRect().right > innerWidth + 1)"
                  ".map(e => e.outerHTML.slice(0, 80))")
    assert not out, out


def shots(page, scene):
    """Pictures of a scene: both sizes, light and dark; each has to fit."""
    for size, view in VIEWS.items():
        for dark in (False, True):
            page.look(**view, dark=dark)
            time.sleep(0.3)
            assert_fits(page)
            page.shot(SHOTS / f"{scene}-{size}"
                      f"-{'dark' if dark else 'light'}.png")
    page.look(**DESKTOP)


@pytest.fixture
def three(db, serve, stubs):
    """A walstream with load and three streams: a named one that keeps up, a
    hostile one that acknowledges nothing, one without a name that is slow."""
    with contextlib.ExitStack() as stack:
        server = serve()
        good = Subscriber(stubs, server.address, metadata={},
                          consumer="billing", ack_commits=True)
        stack.callback(good.close)
        bad = Subscriber(stubs, server.address, consumer=HOSTILE)
        stack.callback(bad.close)
        plain = Client(stubs, server.address, ack_every=50)
        stack.callback(plain.close)
        for one in (good, bad, plain):
            one.attached()
        load = Load(db)
        stack.callback(load.stop)
        server.load = load
        yield server


def test_no_stream(serve, look):
    page = live(look(serve().url))
    page.wait("document.querySelector('#none').offsetHeight > 0")
    assert page.text("#headline") == "Ready, no stream is open"
    assert page.js("document.querySelector('#table').offsetHeight") == 0
    shots(page, "none")


def test_streams(three, look):
    page = live(look(three.url))
    page.wait("document.querySelectorAll('#rows tr').length === 3")
    names = page.texts("#rows th b")
    assert "billing" in names and HOSTILE in names
    assert any(name.startswith("127.0.0.1:") for name in names)
    assert page.js("document.querySelectorAll('#rows img').length") == 0
    assert "owned" not in page.js("document.title")
    assert page.text("#count") == "3"
    states = dict(zip(names, page.texts("#rows .state > span")))
    assert states[HOSTILE] == "Unacknowledged"
    page.wait(f"{row(HOSTILE)}.textContent.includes('holds WAL back')")


def test_numbers_move(three, look):
    page = live(look(three.url))
    page.wait("document.querySelectorAll('#rows tr').length === 3")
    page.wait("parseFloat(document.querySelector('.now span').textContent)"
              " > 1", what="events a second")
    events = f"{row('billing')}.querySelector('td:last-child small')"
    before = page.js(f"{events}.textContent")
    page.wait(f"{events}.textContent !== {json.dumps(before)}")
    page.wait("document.querySelector('.plot .curve').getAttribute('d')"
              ".split('L').length > 3", what="a curve")
    told = state_of(three)
    assert told["slot"]["held_by"] == [HOSTILE]
    # It gets late, and then the headline says so.
    headline = "document.querySelector('#headline').textContent"
    page.wait(f"{headline}.includes('behind')", 40)
    assert HOSTILE[:40] in page.text("#headline")
    assert page.js("document.querySelector('#verdict').className") == \
        "verdict bad"
    time.sleep(5)
    shots(page, "three")


def test_only_its_own(three, look):
    """What is asked for, and what the policy makes of anything else."""
    page = live(look(three.url))
    page.wait("document.querySelectorAll('#rows tr').length === 3")
    asked = {url.removeprefix(three.url) for url in page.requests
             if not url.startswith("data:")}
    assert asked == {"", "status.json"}
    page.expected = ["Content Security Policy", "Content-Security-Policy"]
    page.js("""(() => {
        const s = document.createElement('script');
        s.textContent = 'window.owned = 1';
        document.body.append(s);
        document.body.insertAdjacentHTML('beforeend',
            '<img src="http://127.0.0.1:1/x" onerror="window.owned = 2">' +
            '<p id=p style="position: fixed">x</p>');
    })()""")
    time.sleep(0.5)
    assert page.js("window.owned") is None
    assert page.js("getComputedStyle(p).position") == "static"
    assert page.blocked == sum(":1/x" in url for url in page.requests) == 1


def test_server_comes_back(three, serve, look):
    page = live(look(three.url))
    page.expected = ["ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE",
                     "ERR_CONNECTION_RESET"]
    page.wait("document.querySelectorAll('#rows tr').length === 3")
    three.stop()
    page.wait("/^Not reachable since \\d\\d:\\d\\d:\\d\\d$/.test("
              "document.querySelector('#headline').textContent)")
    said = page.text("#headline")
    assert page.text("#live").startswith("Last answer ")
    assert len(page.texts("#rows th b")) == 3
    time.sleep(3)
    assert page.text("#headline") == said, "since when is told once"
    shots(page, "lost")
    serve()
    live(page)
    page.wait("document.querySelector('#headline').textContent ==="
              " 'Ready, no stream is open'")
    assert page.js("document.body.className") == ""


def test_postgresql_goes_away(pg, three, look):
    page = live(look(three.url))
    page.wait("document.querySelectorAll('#rows tr').length === 3")
    three.load.stop()
    pg.stop()
    try:
        page.wait("document.querySelector('#headline').textContent ==="
                  " 'Not connected to PostgreSQL'")
        page.wait("document.querySelector('#server').textContent"
                  ".includes('Problem')")
        shots(page, "offline")
    finally:
        pg.start()
    page.wait("!document.querySelector('#headline').textContent"
              ".startsWith('Not ')", 40)


def test_pauses_while_hidden(serve, look, browser):
    page = live(look(serve().url))
    page.js("""(() => {
        let hidden = true;
        Object.defineProperty(document, 'hidden', { get: () => hidden });
        document.dispatchEvent(new Event('visibilitychange'));
        window.reveal = () => {
            hidden = false;
            document.dispatchEvent(new Event('visibilitychange'));
        };
    })()""")
    assert page.text("#live") == "Paused"
    time.sleep(1.5)  # what was asked may still be answered
    before = len(page.requests)
    time.sleep(3)
    assert len(page.requests) == before
    page.js("reveal()")
    until(lambda: len(page.requests) > before + 1, 10, "requests again")
    live(page)


def many(told, n, listed):
    """The state of a server with n streams, made of one with some."""
    one = told["streams"][0]
    told["streams"] = [
        {**copy.deepcopy(one), "id": i + 1, "holds": i < 2,
         "consumer": f"consumer-{i:04}" if i % 3 else None,
         "peer": f"10.0.{i // 250}.{i % 250}:{40000 + i}",
         "state": "unacknowledged" if i < 4 else "sending" if i % 7 == 0
                  else "current",
         "behind_seconds": max(0, 40 - 8 * i),
         "behind_bytes": max(0, 9_000_000 - 2_000_000 * i)}
        for i in range(listed)]
    told["streams_open"] = n
    told["streams_left_out"] = n - listed
    return told


@pytest.mark.parametrize("n, listed", [(200, 200), (1000, 500)])
def test_many(three, look, n, listed):
    began = time.monotonic()
    told = many(state_of(three), n, listed)

    def now():
        past = time.monotonic() - began
        fresh = copy.deepcopy(told)
        fresh["walstream"]["time"] += past
        fresh["walstream"]["uptime_seconds"] += past
        for s in fresh["streams"]:
            s["events"] += int(past * 100) + s["id"]
        return fresh

    stand_in = StandIn(page_of(three), now)
    try:
        page = live(look(stand_in.url))
        page.wait(f"document.querySelectorAll('#rows tr').length === {listed}")
        assert page.text("#count") == f"{n:,}"
        if n > listed:
            assert "500 streams that are less far behind" in \
                page.text("#more")
        took = page.js("(() => { const t = performance.now();"
                       " drawStreams(previous); document.body.offsetHeight;"
                       " return performance.now() - t; })()")
        print(f"{listed} rows drawn in {took:.1f} ms")
        page.js("filter.value = 'consumer-0004';"
                " filter.dispatchEvent(new Event('input'))")
        assert page.js("[...document.querySelectorAll('#rows tr')]"
                       ".filter(r => r.offsetHeight).length") == 1
        page.js("filter.value = ''; filter.dispatchEvent(new Event('input'))")
        shots(page, f"many-{n}")
    finally:
        stand_in.close()


def test_history(three, look):
    """Five minutes are kept, and can be pointed at."""
    told = state_of(three)
    told["absent"] = []
    told["slot"]["held_by"] = []
    for i, one in enumerate(told["streams"]):
        one.update(consumer=("billing", "search-index", "audit")[i],
                   state="current", holds=False)
    turns = itertools.count(1)
    wave = random.Random(1)

    def now():
        n = next(turns)
        fresh = copy.deepcopy(told)
        fresh["walstream"]["time"] += 3 * n
        fresh["walstream"]["uptime_seconds"] += 3 * n
        burst = 4 if 50 < n < 70 else 1
        told["received"]["events"] += int(
            3 * burst * (900 + 200 * math.sin(n / 9) + wave.gauss(0, 40)))
        told["received"]["bytes"] = told["received"]["events"] * 310
        late = max(0, n - 52) / 4 if n < 72 else max(0, 5 - (n - 72))
        fresh["slot"]["behind_seconds"] = late + wave.uniform(0, 0.2)
        fresh["slot"]["behind_bytes"] = int(late * 1.3e6 + 4000)
        return fresh

    stand_in = StandIn(page_of(three), now)
    try:
        page = live(look(stand_in.url))
        page.js("(async () => { for (let i = 0; i < 140; i++)"
                " await ask(); })()")
        # From 5 minutes and a gap ago, every 3 s.
        assert page.js("history.length") == 103
        assert page.js("history[history.length - 1].t - history[0].t") == 306
        now_shown = page.text(".now span")
        page.call("Input.dispatchMouseEvent", type="mouseMoved",
                  **page.js("(() => { const r = document.querySelector("
                            "'.plot').getBoundingClientRect(); return "
                            "{ x: r.left + r.width * 0.4,"
                            " y: r.top + 20 }; })()"))
        assert page.text(".scale span") != "5 min ago"
        assert page.text(".now span") != now_shown
        page.shot(SHOTS / "pointed-at-desktop-light.png")
        page.call("Input.dispatchMouseEvent", type="mouseMoved", x=1, y=1)
        assert page.text(".scale span") == "5 min ago"
        shots(page, "history")
    finally:
        stand_in.close()


def test_odd_answers(three, look):
    """Errors are told as what they are; big numbers come as strings."""
    told = state_of(three)
    told["received"]["events"] = str(2 ** 63)
    told["slot"]["confirmed_lsn"] = "0/0"
    told["server"]["lsn"] = "FFFFFFFF/FFFFFFFF"
    told["server"]["problem"] = HOSTILE
    told["slot"]["name"] = "x" * 63
    for stream in told["streams"]:
        stream["consumer"] = "W" * 200
    stand_in = StandIn(page_of(three), told)
    try:
        page = live(look(stand_in.url, **PHONE))
        page.wait("document.querySelectorAll('#rows tr').length === 3")
        assert HOSTILE in page.text("#server")
        assert_fits(page)
        page.expected = ["the server responded with a status of 500"]
        stand_in.state = 500
        page.wait("document.querySelector('#detail').textContent"
                  ".includes('status 500')")
    finally:
        stand_in.close()


CONTRAST = """(() => {
    const channel = v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(v =>
        channel(v / 255)); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const paper = light(getComputedStyle(document.body).backgroundColor);
    const bad = [];
    for (const e of document.querySelectorAll('body *')) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 &&
            n.textContent.trim());
        if (!own || !e.offsetHeight || e.closest('script, style, .unseen'))
            continue;
        const ink = light(getComputedStyle(e).color);
        const ratio = (Math.max(ink, paper) + 0.05) /
            (Math.min(ink, paper) + 0.05);
        if (ratio < 4.5)
            bad.push(ratio.toFixed(2) + ' ' + e.outerHTML.slice(0, 60));
    }
    return bad;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_can_be_read(three, look, dark):
    """Contrast of all text; and on a phone, too, the table is a table."""
    page = live(look(three.url, dark=dark, **PHONE))
    page.wait(f"{row(HOSTILE)}.textContent.includes('holds WAL back')")
    assert page.js(CONTRAST) == []
    tree = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in tree if not node["ignored"]]
    assert roles.count("table") == 1
    assert roles.count("rowheader") == 3
    assert roles.count("status") == 1
    names = [node["name"]["value"] for node in tree if not node["ignored"]
             and node["role"]["value"] == "rowheader"]
    assert any(HOSTILE in name for name in names)


