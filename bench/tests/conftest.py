"""bench stands on tools/stack and tests, as its programs find them."""

import pathlib
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]
