from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from pgnface.training.structure import differences, from_plain, to_plain


@dataclass(frozen=True)
class Cat:
    kind: Literal["cat"] = "cat"
    lives: int = 9


@dataclass(frozen=True)
class Dog:
    kind: Literal["dog"] = "dog"
    name: str = "Rex"
    weight: float = 3.0

    def __post_init__(self):
        if self.weight < 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")


@dataclass(frozen=True)
class Home:
    pets: tuple[Cat | Dog, ...] = ()
    rooms: list[int] = field(default_factory=list)
    place: Path | None = None
    warm: bool = True
    style: Literal["old", "new"] = "old"
    size: tuple[float, float] = (1.0, 2.0)


def test_round_trip():
    home = Home(pets=(Dog(name="Ada"), Cat(lives=3)), rooms=[1, 2], place=Path("x/y"))
    assert from_plain(Home, to_plain(home)) == home


def test_numbers_that_yaml_reads_as_text_or_integers_become_floats():
    assert from_plain(Dog, {"kind": "dog", "weight": "1e-3"}).weight == 1e-3
    assert isinstance(from_plain(Dog, {"weight": 2}).weight, float)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"roms": [1]}, "unknown key roms; known here: pets, rooms"),
        ({"rooms": [1, "two"]}, r"rooms\[1\] must be an integer, got 'two'"),
        ({"rooms": [True]}, r"rooms\[0\] must be an integer, got True"),
        ({"rooms": 3}, "rooms must be a list, got 3"),
        ({"warm": 1}, "warm must be true or false, got 1"),
        ({"style": "odd"}, "style must be one of 'old', 'new', got 'odd'"),
        ({"place": 4}, "place must be a path, got 4"),
        ({"size": [1, 2, 3]}, "size must be 2 values"),
        ({"pets": [{"kind": "cat"}, {"kind": "cow"}]}, r"pets\[1\].kind must be one of cat, dog"),
        ({"pets": [{"kind": "dog", "age": 3}]}, r"unknown key pets\[0\].age"),
        ({"pets": [{"kind": "dog", "weight": "heavy"}]}, r"pets\[0\].weight must be a number"),
        ({"pets": [{"kind": "dog", "weight": -1}]}, r"pets\[0\]: weight must not be negative"),
        ([1], "must be a mapping with the fields of Home"),
    ],
)
def test_mistakes_are_named_by_their_path(value, message):
    with pytest.raises(ValueError, match=message):
        from_plain(Home, value)


def test_missing_value_is_named():
    @dataclass
    class Needs:
        name: str

    with pytest.raises(ValueError, match="name is missing"):
        from_plain(Needs, {})


def test_differences_name_paths():
    a = {"x": 1, "y": {"z": [1, 2]}, "same": 0}
    b = {"x": 2, "y": {"z": [1, 3]}, "same": 0, "new": None}
    assert differences(a, b) == ["x: 1 != 2", "y.z[1]: 2 != 3"]
