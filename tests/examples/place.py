"""Where the tree and the shared helpers are; imported first."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
EXAMPLES = REPOSITORY / "examples"

# The copies that are built and run. Seen from one, ../../proto is build/proto,
# as it is proto seen from the example itself.
BUILD = REPOSITORY / "build"
COPIES = BUILD / "examples"

sys.path.insert(1, str(HERE.parent / "integration"))
