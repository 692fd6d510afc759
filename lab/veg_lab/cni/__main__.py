from veg_lab.cni.main import main

if __name__ == "__main__":
    main()
