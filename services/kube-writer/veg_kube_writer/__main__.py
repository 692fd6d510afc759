from veg_kube_writer.main import main

if __name__ == "__main__":
    main()
