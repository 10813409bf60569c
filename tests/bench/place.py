"""Where the tree and the shared helpers are; imported first."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]

sys.path.insert(1, str(HERE.parent / "integration"))
