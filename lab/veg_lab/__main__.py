"""`python -m veg_lab`: the same as the executable `lab/lab`."""

import sys

from veg_lab.cli import main

sys.exit(main(sys.argv[1:]))
