"""What /metrics says, read back strictly."""

import re
import shutil
import subprocess

import httpget

SAMPLE = re.compile(
    r'([a-z_]+)(?:\{([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"\})? (\S+)')
UNESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


def parse(text):
    """{name: value} or {name: {label value: value}}."""
    found = {}
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("#"):
            assert re.match(r"# (HELP|TYPE) [a-z_]+ \S", line), line
            continue
        name, label, value, number = SAMPLE.fullmatch(line).groups()
        if label is None:
            assert name not in found, f"twice: {name}"
            found[name] = float(number)
            continue
        value = re.sub(r"\\.", lambda m: UNESCAPED[m[0]], value)
        series = found.setdefault(name, {})
        assert value not in series, f"twice: {name} {value}"
        series[value] = float(number)
    return found


def scrape(server):
    response = httpget.get(server)
    assert response.status == 200
    assert response.getheader("Content-Type").startswith(
        "text/plain; version=0.0.4")
    return parse(response.text)


def promtool():
    """The program that knows what a metrics page should look like."""
    path = shutil.which("promtool")
    assert path, "promtool is not installed: tests/tools/deps check"
    return path


def check(text):
    done = subprocess.run([promtool(), "check", "metrics"], input=text,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout + done.stderr, (
        done.stdout + done.stderr)


def falls(before, after):
    """Counters that went backwards."""
    for name, was in before.items():
        if not name.endswith(("_total", "_count", "_sum", "_bucket")):
            continue
        for label, value in (was.items() if isinstance(was, dict)
                             else [(None, was)]):
            now = after[name] if label is None else after[name][label]
            if now < value:
                yield name, label, value, now
