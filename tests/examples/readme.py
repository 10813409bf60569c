"""What an example's README tells its reader to type.

Its first block of sh installs and builds, its second is the one command line
that runs it, to which the tests append what it is to connect to. Both start
in the example's directory.
"""

import re
import shlex

from place import EXAMPLES

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(name):
    text = (EXAMPLES / name / "README.md").read_text(encoding="utf-8")
    found = BLOCK.findall(text)
    assert len(found) >= 2, \
        f"examples/{name}/README.md: the first block of sh is to install," \
        f" the second to run; it has {len(found)}"
    return found


def install(name):
    """A script."""
    return blocks(name)[0]


def run(name):
    """The words of one command."""
    line = blocks(name)[1].replace("\\\n", " ").strip()
    assert "\n" not in line, f"more than one command runs {name}: {line}"
    return shlex.split(line)
