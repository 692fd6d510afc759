"""`python -m vegctl`."""

from vegctl.main import main

main()
