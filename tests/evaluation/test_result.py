import json
import math

from pgnface.evaluation.result import Result, Table, print_result

RESULT = Result(
    title="A benchmark",
    facts={"images": 3},
    tables=(Table("Distance, mm", ("mean", "n"), {"all": (1.234, 3), "none": (math.nan, 0)}),),
    skipped={"a.jpg": "no face found [x]"},
)


def test_json_alone_on_stdout(capsys):
    print_result(RESULT, as_json=True)
    numbers = json.loads(capsys.readouterr().out)
    assert numbers["tables"]["Distance, mm"]["all"] == {"mean": 1.234, "n": 3}
    assert numbers["tables"]["Distance, mm"]["none"]["mean"] is None and numbers["images"] == 3


def test_tables(capsys):
    print_result(RESULT)
    text = capsys.readouterr().out
    assert "1.23 " in text and " 3 " in text and "a.jpg: no face found [x]" in text


def test_write_json(tmp_path):
    assert json.loads(RESULT.write_json(tmp_path / "new").read_text())["protocol"] == "A benchmark"
