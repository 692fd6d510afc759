"""What holds for all tests: hypothesis without a deadline, since this machine may be busy.

And with fewer examples than its 100, for unit tests within seconds; `HYPOTHESIS_PROFILE=thorough` looks for longer.
"""

import os

from hypothesis import settings

settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
