"""Fixtures: a PostgreSQL, walstreams with the page, a browser to look at it."""

import itertools

import place  # first: it says where the helpers are

import pytest

import httpget
from chromium import Browser
from database import Database
from pgserver import free_port
from proc import Server
from suite import finish_all, pg, pytest_configure, stubs

numbers = itertools.count(1)


@pytest.fixture
def db(pg):
    database = Database(pg, f"shop{next(numbers)}")
    yield database
    database.drop()


@pytest.fixture
def serve(db):
    """Starts a walstream; a second one takes the first one's ports."""
    started = []
    ports = free_port(), free_port()

    def start(*options, temporary=False):
        one = Server(
            "-c", db.conninfo(), "start", "pub", db.slot, "--host",
            "127.0.0.1", "--port", str(ports[0]), "--temporary",
            str(temporary).lower(), "--drain", "1", "--metrics-listen",
            f"127.0.0.1:{ports[1]}", *options)
        started.append(one)
        one.wait_listening()
        one.url = "http://%s:%d/" % httpget.address(one)
        return one

    yield start
    finish_all(started)


@pytest.fixture(scope="session")
def browser():
    one = Browser()
    print(one.version)
    yield one
    one.close()


@pytest.fixture
def look(browser):
    """Opens a tab. At its end nothing may have gone wrong in it."""
    opened = []

    def start(url, **view):
        page = browser.page(**view).open(url)
        opened.append(page)
        return page

    yield start
    wrong = [text for page in opened for text in page.said + page.thrown
             if not any(word in text for word in page.expected)]
    asked = {url for page in opened for url in page.requests
             if not url.startswith(("http://127.0.0.1:", "data:", "about:"))}
    for page in opened:
        page.close()
    assert not wrong, wrong
    assert not asked, f"requests to elsewhere: {asked}"
