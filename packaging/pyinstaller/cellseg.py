"""What the frozen `cellseg` command starts with."""

import multiprocessing
import sys

# Training makes its volumes in processes of its own, which start this program again.
multiprocessing.freeze_support()

from cellseg_app.cli import main  # noqa: E402

sys.exit(main())
