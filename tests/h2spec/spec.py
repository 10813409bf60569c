"""h2spec: the cases it has, and what it says of each of a server's answers.

A case is its suite and section, as h2spec's reports spell them, and its number
in there: ("http2/5.1.1", 2).
"""

import collections
import re
import subprocess
import xml.etree.ElementTree

from place import TOOL

SUITES = {"Generic": "generic", "Hypertext": "http2", "HPACK": "hpack"}
SECTION = re.compile(r" +(\d+(?:\.\d+)*)\. ")
CASE = re.compile(r" +(\d+): (.*)")

# Seconds that a case waits for what should come or end; the cases that expect
# nothing wait so long, too.
PATIENCE = 2

Result = collections.namedtuple("Result", "kind text")


def call(*words):
    return subprocess.run([TOOL, "--strict", *map(str, words)],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=600, check=False)


def cases():
    """(case, title) of every one, strict ones too, in h2spec's order."""
    done = call("--dryrun")
    assert done.returncode == 0, done
    found, suite, section = [], None, None
    for line in done.stdout.splitlines():
        if match := CASE.fullmatch(line):
            found.append(((f"{suite}/{section}", int(match[1])), match[2]))
        elif match := SECTION.match(line):
            section = match[1]
        elif line:
            suite = SUITES[re.match(r"\w+", line)[0]]
    return found


def run(port, where, *options):
    """Runs all of them against a port; returns the result of each case: kind
    is passed, skipped, error or failure."""
    report = where / "report.xml"
    done = call("--port", port, "--timeout", PATIENCE, "--junit-report",
                report, *options)
    assert report.exists(), done
    results = {}
    for suite in xml.etree.ElementTree.parse(report).iter("testsuite"):
        for number, case in enumerate(suite.iter("testcase"), 1):
            kind = case[0].tag if len(case) else "passed"
            text = (case[0].text or "") if len(case) else ""
            results[suite.get("package"), number] = Result(kind, text)
    return results
