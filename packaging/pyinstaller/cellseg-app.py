"""What the frozen window program starts with."""

import sys

from cellseg_app.__main__ import start

sys.exit(start())
