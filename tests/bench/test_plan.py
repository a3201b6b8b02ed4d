from __future__ import annotations

import time

import pytest
from fast_protocol import FAST
from multigrad.bench.plan import cells as planning
from multigrad.bench.timing import roofline

from multigrad import BadInput, operation
from multigrad.ops.selection import Selection

OPTIONS = {
    "device": ["cpu"],
    "dtype": ["float64", "float32"],
    "variant": planning.VARIANTS,
    "mode": planning.MODES,
    "size": None,
    "threads": [1],
    "precision": "strict",
}


def planned(ops, **wanted):
    cells = planning.cells(Selection.of(ops, **{**OPTIONS, **wanted}))
    return planning.of_cells(cells, twins=2, seed=0, quick=False)


@pytest.fixture
def plan(square, cube):
    return planned([square, cube], backend=["fake_backends:BUSY", "numpy"])


def test_nothing_is_listed_twice(square):
    twice = {"backend": ["numpy"] * 2, "size": ["only"] * 2, "dtype": ["float64"] * 2}
    plan = planned([square, square], **twice)
    assert len(set(plan.cells)) == len(plan.cells) == 8


def test_a_plan_comes_back_from_json(plan):
    assert planning.Plan.from_json(plan.to_json()) == plan


def works(plan, number, indices, twins):
    return planning.work(plan, planning.places_of(plan, number), number, indices, twins)


def test_orders_are_shuffled_by_round_and_repeat_with_the_seed(plan):
    wanted = [i for i in range(len(plan.cells)) if i not in plan.refused]
    first = [works(plan, r, wanted, plan.twins) for r in range(8)]
    again = [works(plan, r, wanted, plan.twins) for r in range(8)]
    assert first == again
    assert len({tuple(w.backend for w in r) for r in first}) > 1
    assert len({w.cells for r in first for w in r if w.backend == "numpy" and not w.twin}) > 1
    for r in first:
        assert sorted(i for w in r if not w.twin for i in w.cells) == wanted


def test_a_twin_never_shares_its_process_with_the_first_half(plan):
    for item in works(plan, 0, plan.twins, plan.twins):
        assert len(set(item.cells)) == len(item.cells)
    assert {w.twin for w in works(plan, 0, plan.twins, plan.twins)} == {0, 1}


def test_all_workers_of_a_round_go_through_the_same_order():
    plan = planned(["linear_map", "relu_regression"])
    orders = []
    for r in range(3):
        places = planning.places_of(plan, r)
        for item in works(plan, r, range(len(plan.cells)), plan.twins):
            assert [places[i] for i in item.cells] == sorted(places[i] for i in item.cells)
            assert all(len({places[i].group for i in group}) == 1 for group in item.groups)
        assert all(plan.cells[i].match == plan.cells[places.index(p)].match for i, p in enumerate(places))
        orders.append(places)
    assert orders[0] != orders[1]


def test_the_cells_of_one_problem_take_turns_whoever_computes_them():
    plan = planned(["linear_map", "relu_regression"])
    places = planning.places_of(plan, 0)
    groups = {(place.group, plan.cells[i].match[:3]) for i, place in enumerate(places)}
    assert len(groups) == len({group for group, _ in groups}) == len({problem for _, problem in groups})
    assert sorted({group for group, _ in groups}) == list(range(len(groups)))


def test_cells_that_hold_more_than_there_is_room_for_take_turns_in_smaller_groups(square):
    plan = planned([square], backend=["numpy", "strict"], dtype=["float64"])
    held = [10] * len(plan.cells)
    for limit, sizes in ((160, [8]), (159, [7, 1]), (40, [2, 2, 2, 2]), (1, [1] * 8)):
        places = planning.places_of(plan, 0, held, limit)
        matches = {(place.group, place.position): plan.cells[i].match for i, place in enumerate(places)}
        assert len(matches) == len(set(matches.values())) == 8
        assert [sum(group == n for group, _ in matches) for n in range(len(sizes))] == sizes


def test_without_its_finished_cells_a_worker_has_no_empty_groups():
    item = planning.Work("numpy", "numpy", "cpu", 1, "strict", 0, 0, ((1, 2), (3,), (4,)))
    assert planning.without(item, {2, 3}).groups == ((1,), (4,))


def test_an_operation_that_no_worker_could_find_is_refused():
    @operation("(n)->()")
    def local(xp, x):
        """f = Σ x."""
        return xp.sum(x), lambda f_bar: f_bar * xp.ones_like(x)

    with pytest.raises(BadInput, match="local cannot be found by another process; define it at the top of a file"):
        planned([local], backend="numpy")


def test_a_cell_is_laid_under_the_roof_that_binds():
    product = roofline.place(1.0, flops=5e9, moved=1e6, flop_per_s=1e10, bytes_per_s=1e10)
    assert (product.binds, product.percent) == ("compute", pytest.approx(50))
    copy = roofline.place(1.0, flops=1e6, moved=8e9, flop_per_s=1e10, bytes_per_s=1e10)
    assert (copy.binds, copy.percent, copy.gbyte_per_s) == ("memory", pytest.approx(80), pytest.approx(8))


def test_what_fits_a_cache_has_the_roof_of_that_cache():
    by_size = [(1e5, 100e9), (1e6, 150e9), (1e7, 20e9), (1e8, 10e9)]
    assert roofline.bandwidth_at(by_size, 2e5) == 150e9  # never lower than what was seen with more data
    assert roofline.bandwidth_at(by_size, 2e6) == 150e9  # between two sizes the higher roof
    assert roofline.bandwidth_at(by_size, 5e7) == 20e9
    assert roofline.bandwidth_at(by_size, 1e12) == 10e9
    assert roofline.bandwidth_at(by_size, 1) == 150e9


def test_the_rate_of_a_product_is_not_that_of_a_small_one_which_waited():
    class Session:
        device = "cpu"
        calls = 0

        def place(self, operation, arrays, dtype):
            return arrays

        def wait(self, arrays):
            # Every small product is cheap but the first ones, which wait for a processor.
            Session.calls += 1
            if Session.calls < 5:
                time.sleep(0.01)

    assert roofline.product_rate(Session(), "float64", FAST) > 1e8


def test_the_largest_size_is_the_one_called_so_or_the_last():
    from multigrad.bench.plan import cells as plan

    from multigrad import operations

    found = {"leaky_relu": "large", "lstm": "l6_c8192"}
    for name, size in found.items():
        cells = measure_cells(name, plan.LARGEST)
        assert {cell.size_name for cell in cells} == {size}
        assert list(operations()[name].sizes)


def measure_cells(name, size):
    from multigrad.bench.measurement.measure import cells_of

    return cells_of(Selection.of(name, backend="numpy", variant="forward", dtype="float32", size=size))


def test_a_mesh_is_refused_where_it_is_unknown_or_does_not_divide():
    sizes = [{"m": 16, "k": 4, "n": 3}, {"m": 12, "k": 4, "n": 3}]
    options = {"dtype": "float32", "variant": "analytic", "mode": "eager", "size": sizes, "device": "cpu:8"}
    plan = planned(["relu_regression"], backend=["numpy", "jax"], **options)
    told = {(c.backend, c.sizes): plan.refused[i].reason for i, c in enumerate(plan.cells) if i in plan.refused}
    assert told == {
        ("numpy", "m=16 k=4 n=3"): "numpy has no mesh of devices",
        ("numpy", "m=12 k=4 n=3"): "numpy has no mesh of devices",
        ("jax", "m=12 k=4 n=3"): "m = 12 is no multiple of 8, the devices it is split among",
    }


def test_bandwidth_is_measured_at_finer_steps_where_the_last_cache_ends():
    assert roofline._sizes(2**14, 2**27, 2**25) == [2**n for n in (14, 16, 18, 20, 22, 24, 25, 26, 27)]
    assert roofline._sizes(5, 3, 2**25) == [3]
