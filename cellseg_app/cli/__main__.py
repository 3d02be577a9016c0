"""`python -m cellseg_app.cli` is the `cellseg` command."""

import sys

from cellseg_app.cli import main

sys.exit(main())
