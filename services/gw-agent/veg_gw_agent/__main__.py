import sys

from veg_gw_agent.main import main

sys.exit(main())
