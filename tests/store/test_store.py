"""What goes into a store comes out of it, bit by bit and in order; no key is there twice, and nothing is lost."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate
from ntkcheck.store import Record, Store, StoreError, key_of
from ntkcheck.store.rows import Row, encode
from tests.store import CURVE, FUNCTION, NUMBER, PROVENANCE, content, measures, record

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
COUNTS = st.integers(0, 2**63 - 1)
ESTIMATES = st.builds(Estimate, FLOATS, FLOATS, COUNTS)
SHAPES = st.shared(arrays.array_shapes(max_dims=1, min_side=0, max_side=5), key="shape")
DTYPES = st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint8, np.bool_])
ARRAYS = DTYPES.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES))
SERIES = st.builds(Series, ARRAYS, ARRAYS, COUNTS, ARRAYS)
MEASUREMENTS = st.lists(st.builds(Measurement, st.text(), ESTIMATES | SERIES, st.text()), max_size=4)
PARAMETERS = st.dictionaries(
    st.text(), st.none() | st.booleans() | st.integers() | FLOATS | st.text() | st.lists(FLOATS, max_size=2)
)


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "store.db") as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Store(tmp_path_factory.mktemp("shared") / "store.db") as opened:
        yield opened


def numbers(records):
    return [each.parameters["i"] for each in records]


@given(
    PARAMETERS,
    MEASUREMENTS,
    st.none() | st.text(),
    st.integers(0, 2**63 - 1),
    st.floats(0),
    st.dictionaries(st.text(), st.text()),
)
def test_records_come_back_as_they_were(shared, parameters, measurements, failure, seed, seconds, origin):
    made = record(
        parameters=parameters,
        measurements=measurements,
        failure=failure or None,
        seed=seed,
        seconds=seconds,
        started="2030-01-01T00:00:00+00:00",
        provenance=origin,
    )
    shared.replace(made)
    found = shared.find(made.key)
    assert content(found) == content(made)
    assert content(next(shared.records(newest_first=True))) == content(made)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Estimate(0.0, 0.1, 2), Estimate(-0.0, 0.1, 2)),
        (Estimate(1.0, 0.1, 2), Estimate(math.nextafter(1, 2), 0.1, 2)),
        (Estimate(1.0, math.nan, 2), Estimate(1.0, 0.0, 2)),
        (CURVE.estimate, CURVE.estimate._replace(at=np.array([1.0, 2.0]))),
        (CURVE.estimate, CURVE.estimate._replace(value=np.array([-1.0, math.nan]))),
    ],
)
def test_the_comparison_above_sees_single_bits_and_types(one, other):
    made = [record(measurements=[Measurement("a", estimate, "b")], started="") for estimate in (one, other)]
    assert content(made[0]) != content(made[1])
    assert encode(made[0]).checksum != encode(made[1]).checksum


@pytest.mark.parametrize("field", Row._fields)
def test_the_checksum_covers_everything(field):
    row = encode(record())
    changed = row._replace(
        **{field: (*getattr(row, field), 1) if isinstance(getattr(row, field), tuple) else "changed"}
    )
    assert row.checksum == encode(record(started=row.cell[4])).checksum != changed.checksum


def test_numbers_of_numpy_and_jax_are_kept_as_floats(store):
    import jax.numpy as jnp

    made = [
        Measurement("a", Estimate(np.float32(0.1), jnp.float32(0.5), np.int64(3)), "b"),
        Measurement("c", Estimate(1, 0, 0), "d"),
    ]
    (found,) = store.add(record(measurements=made)) and [store.find(record().key)]
    assert repr(found.measurements[0].estimate) == "Estimate(value=0.10000000149011612, sem=0.5, n=3)"
    assert repr(found.find("c")) == "Estimate(value=1.0, sem=0.0, n=0)"
    assert found.find("e") is None


def test_arrays_in_other_orders_and_of_other_kinds(store):
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    store.add(record(measurements=[Measurement("a", Series(fortran, fortran[:, ::-1], 1, np.arange(3)), "b")]))
    found = store.find(record().key).find("a")
    assert np.array_equal(found.value, fortran)
    assert np.array_equal(found.sem, fortran[:, ::-1])
    with pytest.raises(ValueError, match="`measurements` must hold numbers, got an array of complex128 in 'a'"):
        store.add(record(1, measurements=[Measurement("a", Series(fortran * 1j, fortran, 1, fortran), "b")]))
    assert len(store) == 1


def test_records_of_failures(store):
    made = record(failure="ValueError: \udcff, in file.py:3")  # names of files may be any bytes
    store.add(made)
    assert store.find(made.key).failure == "ValueError: \\udcff, in file.py:3"
    assert store.find(made.key).measurements == ()
    with pytest.raises(
        ValueError, match="`failure` must be None where something was measured, got 'E: x' and 2 measurements"
    ):
        Record(FUNCTION, {}, (NUMBER, CURVE), "E: x", 0, "", 0.0, PROVENANCE)


def test_keys_are_there_once_and_the_first_record_stays(store):
    first, second = record(seconds=1.0), record(seconds=2.0)
    assert store.add(first) == [first]
    assert [each.seconds for each in store.add(second)] == [1.0]
    assert [each.seconds for each in store.add(record(1, seconds=3.0), second, record(1, seconds=4.0))] == [
        3.0,
        1.0,
        3.0,
    ]
    assert len(store) == len(store.keys()) == len(list(store.records(superseded=True))) == 2


def test_a_success_takes_the_place_of_a_failure_and_not_the_other_way_round(store):
    failure, success = record(failure="E: x"), record()
    assert store.add(failure) == [failure]
    assert [each.failure for each in store.add(record(failure="E: y"))] == ["E: x"]
    assert store.add(success) == [success]
    assert [each.failure for each in store.add(record(failure="E: z"))] == [None]
    assert [each.failure for each in store.records(superseded=True)] == ["E: x", None]
    assert store.add(record(1, failure="E: x"), record(1))[0].failure is None


def test_what_is_replaced_is_kept(store):
    store.add(*(record(i, seconds=1.0) for i in range(3)))
    replacing = record(1, seconds=2.0)
    assert store.replace(replacing) == [replacing]
    store.replace(record(1, failure="E: x", seconds=3.0))
    assert len(store) == 3
    assert store.find(replacing.key).seconds == 3.0
    assert numbers(store.records()) == [0, 2, 1]
    assert [(each.parameters["i"], each.seconds) for each in store.records(superseded=True)] == [
        (0, 1.0), (1, 1.0), (2, 1.0), (1, 2.0), (1, 3.0),
    ]  # fmt: skip
    (found,) = store.versions(replacing.key[:8]).values()
    assert [each.seconds for each in found] == [1.0, 2.0, 3.0]


def test_records_are_chosen_by_function_parameters_and_failure(store):
    grid = [{"width": width, "normalizer": name} for width in (10, 20) for name in ("zca", "pca")]
    store.add(*(record(parameters=each) for each in grid))
    store.add(record(parameters={"width": 10, "rate": math.nan}, function="other:measure", failure="E: x"))
    assert len(list(store.records(FUNCTION))) == len(store.keys(FUNCTION)) == 4
    assert len(list(store.records("other:measure"))) == 1
    found = [each.parameters for each in store.records(where={"width": 10.0})]
    assert repr(found) == repr([grid[0], grid[1], {"width": 10, "rate": math.nan}])
    assert [each.parameters for each in store.records(where={"width": 20, "normalizer": "pca"})] == [grid[3]]
    assert len(list(store.records(where={"rate": math.nan}))) == 1
    assert list(store.records(where={"width": True})) == list(store.records(where={"rate": None})) == []
    assert len(list(store.records(failed=True))) == len(store.keys(failed=True)) == 1
    assert len(store.keys(failed=False)) == 4
    assert store.keys("other:measure", failed=False) == set()
    assert store.find(key_of(FUNCTION, {"width": 30})) is None
    with pytest.raises(ValueError, match=r"`width` must be .* got object"):
        store.records(where={"width": object()})


def test_functions_as_parameters_are_found(store):
    made = record(parameters={"function": measures.twice})
    store.add(made)
    assert store.find(key_of(FUNCTION, {"function": measures.twice})).parameters == made.parameters
    assert len(list(store.records(where={"function": measures.twice}))) == 1
    assert list(store.records(where={"function": measures.thrice})) == []


def test_order_is_that_of_adding_though_the_clock_was_set_back(store):
    starts = ["2030-01-01T00:00:00+00:00", "1999-01-01T00:00:00+00:00", "2020-01-01T00:00:00+00:00"]
    for i, started in enumerate(starts):
        store.add(record(i, started=started))
    assert [each.started for each in store.records()] == starts != sorted(starts)
    assert [each.started for each in store.records(newest_first=True)] == starts[::-1]


def test_many_records_are_read_in_order_and_as_they_were_when_reading_began(store):
    store.add(*(record(i, measurements=[NUMBER]) for i in range(1201)))
    forwards, backwards = store.records(), store.records(newest_first=True)
    next(forwards), next(backwards)
    store.replace(*(record(i, seconds=9.0) for i in (0, 5, 700, 1200)))
    store.add(record(5000))
    assert numbers(forwards) == list(range(1, 1201))
    assert numbers(backwards) == list(range(1199, -1, -1))
    assert len(store) == len(list(store.records())) == 1202


def test_a_reader_may_add_what_it_reads(store):
    store.add(*(record(i) for i in range(510)))
    for each in store.records():
        if each.parameters["i"] % 50 == 0:
            store.add(record(each.parameters["i"] + 10_000))
    assert len(store) == 521


def test_threads_share_a_store(store):
    def work(first):
        for i in range(first, first + 40):
            store.add(record(i % 100))
            assert store.find(record(i % 100).key)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(0, 120, 30)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(numbers(store.records(superseded=True))) == list(range(100))


def test_an_interruption_inside_a_transaction_leaves_nothing_of_it(store):
    store.add(record(0))

    def interrupted():
        with store._writing() as connection:
            connection.execute("UPDATE cell SET seconds = 99")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert store.find(record(0).key).seconds == 0.25
    store.add(record(1))
    assert len(store) == 2


def test_stores_are_opened_again_and_closed(tmp_path):
    with Store(tmp_path / "store.db") as opened:
        opened.add(record())
    opened.close()
    with pytest.raises(
        StoreError, match=r"store.db cannot be used any more \(Cannot operate on a closed database.\); open it again"
    ):
        opened.find("")
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
    with Store(str(tmp_path / "store.db"), read_only=True) as opened:
        assert len(opened) == 1
        with pytest.raises(StoreError, match="cannot be written"):
            opened.add(record(1))
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
