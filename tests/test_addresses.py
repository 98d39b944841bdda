"""Arrays that a kernel finds by their addresses are those of the index, in every shape, and only as the layout has them."""
import numba
import numpy as np
import pytest
from every_kind import make_impacts, source_of

from bmp_plugin import BmpIndex
from bmp_plugin.query.addresses import addresses_of, index_at
from bmp_plugin.query.lists import Index


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    index = BmpIndex.build(source_of(make_impacts()), tmp_path_factory.mktemp("addresses") / "i.bmp", progress=False)
    return Index(*(index.arrays[name] for name in Index._fields))


@numba.njit
def measure(array, out):
    """Its shape, how far apart its rows and its values are, and the sum of its values, each times its place, modulo 2^64."""
    out[0], out[1] = array.shape[0], array.shape[array.ndim - 1]
    out[2], out[3] = array.strides[0], array.strides[array.ndim - 1]
    for place, value in enumerate(array.flat):
        out[4] += np.int64(value) * (place + 1)


@pytest.mark.parametrize("number", range(len(Index._fields)), ids=Index._fields)
def test_every_array_is_found(arrays, number):
    @numba.njit
    def measure_it(addresses, out):
        measure(index_at(addresses)[number], out)

    out = np.zeros(5, np.int64)
    measure_it(addresses_of(arrays), out)
    array = arrays[number]
    places = np.arange(1, array.size + 1).reshape(array.shape)
    total = int((array.astype(np.int64) * places).sum())
    assert out.tolist() == [array.shape[0], array.shape[-1], array.strides[0], array.strides[-1], total]


@pytest.mark.parametrize("change", [lambda a: a.astype(np.int32), lambda a: a[None], lambda a: a[::2],
                                    lambda a: np.frombuffer(b"-" + a.tobytes(), np.uint8)[1:].view(a.dtype)])
def test_others_are_refused(arrays, change):
    with pytest.raises(ValueError, match="list_docs"):
        addresses_of(arrays._replace(list_docs=change(arrays.list_docs)))
