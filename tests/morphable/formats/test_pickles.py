"""Pickles are read as data: arrays of every spelling arrive, and nothing in a file is run."""

import collections
import io
import pickle
import struct
import sys
import types

import numpy as np
import pytest
from scipy import sparse

from pgnface.morphable.formats.contents import read_contents
from pgnface.morphable.formats.pickles import read_pickle

ARRAYS = {
    "double": np.arange(12.0).reshape(3, 4) + 0.1,
    "fortran": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
    "big_endian": np.arange(5, dtype=">i4"),
    "ids": np.array([[0, 7]], dtype=np.uint32),
    "empty": np.zeros((0, 3)),
    "single": np.array(2.5),
    "flags": np.array([True, False]),
    "words": np.array(["jaw", "neck"]),
}


def written(tmp_path, value, protocol=pickle.HIGHEST_PROTOCOL):
    path = tmp_path / "file.pkl"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_values_arrive(tmp_path, protocol):
    value = {
        **ARRAYS,
        "scalar": np.float32(1.5),
        "nested": [ARRAYS["ids"], (1, "two", None, 3.5, b"\xff\x00")],
        "ordered": collections.OrderedDict(a=1, b=ARRAYS["double"]),
        "objects": np.array([np.ones(2), "text", None], dtype=object),
    }
    got = read_pickle(written(tmp_path, value, protocol))
    for key, expected in ARRAYS.items():
        assert type(got[key]) is np.ndarray
        np.testing.assert_array_equal(got[key], expected)
        assert got[key].dtype == expected.dtype.newbyteorder("=") and got[key].flags.writeable
    assert got["scalar"] == np.float32(1.5)
    assert got["nested"][1] == value["nested"][1]
    assert list(got["ordered"]) == ["a", "b"]
    np.testing.assert_array_equal(got["objects"][0], np.ones(2))
    assert got["objects"][1:].tolist() == ["text", None]


@pytest.mark.parametrize("protocol", (0, 2, 4))
@pytest.mark.parametrize("kind", ("csc", "csr"))
def test_sparse_matrices_arrive(tmp_path, kind, protocol):
    dense = np.diag(np.arange(1.0, 5.0))[:, :3]
    matrix = getattr(sparse, f"{kind}_matrix")(dense)
    data = pickle.dumps({"J_regressor": matrix}, protocol)
    got = read_pickle(written(tmp_path, data))["J_regressor"]
    assert got.format == kind
    np.testing.assert_array_equal(got.toarray(), dense)
    old = data.replace(f"scipy.sparse._{kind}".encode(), f"scipy.sparse.{kind}".encode())
    if protocol == 0:  # other protocols state the length of the name
        got = read_pickle(written(tmp_path, old))["J_regressor"]
        np.testing.assert_array_equal(got.toarray(), dense)


def test_sparse_matrices_are_checked(tmp_path):
    matrix = sparse.csr_matrix(np.eye(3))
    matrix.indices = np.array([0, 1, 10**6], dtype=np.int32)
    with pytest.raises(ValueError, match="not a readable pickle"):
        read_pickle(written(tmp_path, {"J_regressor": matrix}))


@pytest.mark.parametrize("protocol", (0, 2))
def test_chumpy_arrays_give_their_values(tmp_path, monkeypatch, protocol):
    class Ch:
        pass

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module = types.ModuleType("chumpy.ch")
    module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    value = Ch()
    value.__dict__.update(x=ARRAYS["double"], _dirty_vars=set(), _itr=None)
    path = written(tmp_path, {"v_template": value}, protocol)
    if protocol == 2:  # as Python 2 spells what Python 3 writes under these names
        path.write_bytes(path.read_bytes().replace(b"cbuiltins\n", b"c__builtin__\n"))
    monkeypatch.undo()
    np.testing.assert_array_equal(read_pickle(path)["v_template"], ARRAYS["double"])


def test_python_2_pickle(tmp_path):
    """``cPickle.dumps({"u": numpy.array([1., 2.])}, 2)`` of Python 2, byte by byte."""
    numbers = struct.pack("<2d", 1, 2)
    data = (
        b"\x80\x02}U\x01ucnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85"
        b"U\x01b\x87R(K\x01K\x02\x85cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R(K\x03U\x01<NNN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U"
        + bytes([len(numbers)])
        + numbers
        + b"tbs."
    )
    np.testing.assert_array_equal(read_pickle(written(tmp_path, data))["u"], [1.0, 2.0])
    assert list(read_contents(tmp_path / "file.pkl")) == ["u"]


class _Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def _global(name: str, module: str, arguments: str = "tR.") -> bytes:
    return f"c{module}\n{name}\n(S'touch hacked'\n{arguments}".encode()


MALICIOUS = {
    "os.system": _global("system", "os"),
    "posix.system": _global("system", "posix"),
    "nt.system": _global("system", "nt"),
    "builtins.eval": pickle.dumps(_Calls(eval, "open('hacked', 'w')")),
    "__builtin__.eval": _global("eval", "__builtin__"),
    "builtins.getattr": pickle.dumps(_Calls(getattr, 1, "real")),
    "builtins.__import__": pickle.dumps(_Calls(__import__, "os")),
    "subprocess.Popen": _global("Popen", "subprocess"),
    "numpy.load": _global("load", "numpy"),
    "numpy.testing._private.utils.runstring": _global(
        "runstring", "numpy.testing._private.utils", "}tR."
    ),
    "numpy.f2py.diagnose.run_command": _global("run_command", "numpy.f2py.diagnose"),
    "numpy.os.system": _global("os.system", "numpy"),
    "numpy.core.multiarray.fromfile": _global("fromfile", "numpy.core.multiarray"),
    "numpy.memmap": _global("memmap", "numpy"),
    "scipy.sparse.load_npz": _global("load_npz", "scipy.sparse"),
    "functools.partial": _global("partial", "functools"),
    "torch.storage._load_from_bytes": _global("_load_from_bytes", "torch.storage"),
    "chumpy.ch.Ch.__init__": _global("Ch.__init__", "chumpy.ch"),
    "pip.main": b"(S'install'\nipip\nmain\n.",  # by INST
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_malicious_pickles_do_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, MALICIOUS[name])
    with pytest.raises(ValueError, match=f"the pickle names .*{name}, which is neither"):
        read_pickle(path)
    with pytest.raises(ValueError, match="the pickle names"):
        read_contents(path)
    assert list(tmp_path.iterdir()) == [path]


def test_names_of_protocol_4_cannot_reach_through_attributes(tmp_path):
    data = b"\x80\x04\x8c\x05numpy\x8c\x09os.system\x93\x8c\x0ctouch hacked\x85R."
    with pytest.raises(ValueError, match=r"the pickle names numpy\.os\.system"):
        read_pickle(written(tmp_path, data))


def _array_pickle(dtype_code: bytes, state: bytes, data: bytes) -> bytes:
    """A protocol-2 pickle of an array of shape (1,) with chosen dtype, its state and data."""
    return (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x01\x85cnumpy\ndtype\nU"
        + bytes([len(dtype_code)])
        + dtype_code
        + b"K\x00K\x01\x87R"
        + state
        + b"\x89"
        + data
        + b"tb."
    )


PLAIN = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def test_bytes_are_never_taken_for_pointers(tmp_path):
    """numpy's own unpickling takes an object array's bytes for addresses if the file's flags say
    that they are not to be pickled as a list.
    """
    flags = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    with pytest.raises(ValueError, match=r"as a list, got bytes|not a readable pickle"):
        read_pickle(written(tmp_path, _array_pickle(b"O8", flags, b"U\x08ABCDEFGH")))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_array_pickle(b"f8", PLAIN, b"U\x04ABCD"), "not a readable pickle"),
        (_array_pickle(b"f8", PLAIN, b"U\x0cABCDEFGHIJKL"), "expected 8 bytes"),
        (_array_pickle(b"V8", PLAIN, b"U\x08ABCDEFGH"), "got the dtype 'V8'"),
        (b"cnumpy\nndarray\n.", "got the class"),
        (b"cnumpy\nndarray\n(tR.", "a bare _Name"),
        (b"cnumpy\nndarray\n}S'resolve'\nI1\nsb.", "not a readable pickle"),
        (b"\x80\x02}U\x01u", "not a readable pickle"),
        (b"not a pickle", "not a readable pickle"),
        (b"", "not a readable pickle"),
        (b"\x80\x02(U\x01aPx\n.", "not a readable pickle"),
        (b"]r\xff\xff\xff\x7f.", ""),
    ],
)
def test_damaged_pickles_are_refused(tmp_path, data, message):
    try:
        value = read_pickle(written(tmp_path, data))
    except ValueError as error:
        assert message in str(error)
    else:
        assert message == "" and value == []


def test_attributes_of_the_reader_cannot_be_set(tmp_path):
    """BUILD on a name, not on an instance, must leave no trace for the next file."""
    for name in (b"numpy\nndarray", b"numpy\ndtype", b"collections\nOrderedDict"):
        for state in (b"}S'resolve'\nI1\ns", b"(N}S'resolve'\nI1\nst"):
            with pytest.raises(ValueError, match="not a readable pickle"):
                read_pickle(written(tmp_path, b"c" + name + b"\n" + state + b"b."))
    np.testing.assert_array_equal(read_pickle(written(tmp_path, np.arange(3))), np.arange(3))


def test_containers_that_hold_themselves_are_refused(tmp_path):
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="not a readable pickle"):
        read_pickle(written(tmp_path, value))


def test_shared_parts_are_resolved_once(tmp_path):
    """Forty lists, each twice in the next, would be 2^40 arrays."""
    value = [np.ones(1)]
    for _ in range(40):
        value = [value, value]
    got = read_pickle(written(tmp_path, value))
    assert got[0] is got[1]


def test_only_dictionaries_are_contents(tmp_path):
    with pytest.raises(ValueError, match="expected a pickled dictionary, got list"):
        read_contents(written(tmp_path, [1, 2]))
    stream = io.BytesIO()
    pickle.dump({"u": np.ones(3)}, stream)
    assert list(read_contents(written(tmp_path, stream.getvalue()))) == ["u"]
