"""What holds for all tests: hypothesis without a deadline, since this machine may be busy, and compiled modules.

With fewer examples than its 100, for unit tests within seconds, and always the same ones, so that what fails is what
somebody changed. `HYPOTHESIS_PROFILE=thorough` looks for longer, and elsewhere each time.
"""

import os
import sys
from pathlib import Path

from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=20, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# Tests start services many hundred times: without compiled modules, half of a start is spent on compiling them again.
# They go where `lab/lab` keeps them, whatever the environment says: no file is left in the tree.
_COMPILED = Path(os.environ.get("VEG_CACHE") or "/var/cache/vpc-egress-gateway") / "pycache"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(_COMPILED)
sys.dont_write_bytecode = False
