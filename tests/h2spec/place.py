"""Where the tree and the shared helpers are; imported first."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOOL = HERE.parents[1] / "build" / "tools" / "h2spec"

sys.path.insert(1, str(HERE.parent / "integration"))
