from veg_lab.node_agent.main import main

if __name__ == "__main__":
    main()
