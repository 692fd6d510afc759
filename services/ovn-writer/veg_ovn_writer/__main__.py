"""`python -m veg_ovn_writer`."""

from veg_ovn_writer.main import main

if __name__ == "__main__":
    main()
