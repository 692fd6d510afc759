"""What holds for all tests: hypothesis without a deadline, since this machine may be busy.

With fewer examples than its 100, for unit tests within seconds, and always the same ones, so that what fails is what
somebody changed. `HYPOTHESIS_PROFILE=thorough` looks for longer, and elsewhere each time.
"""

import os

from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=20, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
