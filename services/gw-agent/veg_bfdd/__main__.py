from veg_bfdd.main import main

main()
