"""What a command ends with, for scripts."""

from typing import Final

OK: Final = 0
OUR_FAULT: Final = 1
INPUT_AT_FAULT: Final = 2
SOME_FAILED: Final = 3
CANCELLED: Final = 130
