from veg_bus_auth.main import main

if __name__ == "__main__":
    main()
