from veg_lab.mini_kube_ovn.main import main

if __name__ == "__main__":
    main()
