from veg_kube_writer.generations import Generations


def test_each_part_of_each_gateway_has_its_own() -> None:
    known = Generations()
    known.record("uid", "status", 3)
    assert known.newest("uid", "status") == 3
    assert known.newest("uid", "workload") == 0
    assert known.newest("successor", "status") == 0


def test_the_highest_one_counts() -> None:
    known = Generations()
    known.record("uid", "status", 3)
    known.record("uid", "status", 2)
    assert known.newest("uid", "status") == 3


def test_the_least_recently_applied_one_is_forgotten_first() -> None:
    known = Generations(entries_max=2)
    known.record("a", "status", 1)
    known.record("b", "status", 1)
    known.record("a", "status", 2)
    known.record("c", "status", 1)
    assert (known.newest("a", "status"), known.newest("b", "status"), known.newest("c", "status")) == (2, 0, 1)
