"""`python -m veg_planner`."""

from veg_planner.main import main

main()
