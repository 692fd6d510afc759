from veg_watcher.main import main

if __name__ == "__main__":
    main()
