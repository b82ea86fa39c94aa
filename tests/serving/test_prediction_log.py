"""The prediction log: nothing lost, nothing doubled, what is torn costs only itself, and never in the way."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from real_predictors import SCHEMA, build
from serving_fakes import PROPERTY, RECORD, Client, make

from mlwright.core.errors import StoreError, UsageError
from mlwright.data.schema import Schema
from mlwright.serving import App, PredictionLog, read_log
from mlwright.serving import log as log_module
from mlwright.serving.frames import block, entries, entry, read_blocks
from mlwright.serving.ids import id_time, new_id
from mlwright.serving.log import folder_name
from mlwright.serving.log_reading import compact_log, find_prediction

HOUR = 3600 * 10**9
T0 = 4_102_509_600 * 10**9  # 2100-01-01T18:00:00Z
NAMES = [
    "time",
    "prediction_id",
    "model",
    "version",
    "sha256",
    "record",
    "prediction",
    "warnings",
    "latency_us",
]


def answer(prediction_id):
    tree = {
        "prediction": "yes",
        "probability": {"no": 0.25, "yes": 0.75},
        "threshold": 0.5,
        "warnings": [{"field": "age"}],
        "prediction_id": prediction_id,
        "model": "m",
        "version": "1",
    }
    return json.dumps(tree, separators=(",", ":")).encode()


def put(log, i, time_ns=T0, *, prediction_id=None, model="m"):
    if not hasattr(log, "channels"):
        log.channels = {}
    if model not in log.channels:
        log.channels[model] = log.channel(model, "1", "ab")
    id_ = f"{i:032x}" if prediction_id is None else prediction_id
    return log.channels[model].put(time_ns + i * 1000, 7, b'{"age":%d}' % i, answer(id_))


def ids(directory):
    return read_log(directory)["prediction_id"].to_pylist()


def test_rows_come_back(tmp_path):
    with PredictionLog(tmp_path) as log:
        for i in range(2500):
            assert put(log, i)
    assert (log.written, log.dropped, log.error, log.waiting_bytes) == (2500, 0, None, 0)
    for _ in range(2):  # as it was written, then as Parquet
        table = read_log(tmp_path)
        assert table.column_names == NAMES
        assert table["record"].to_pylist() == [f'{{"age":{i}}}' for i in range(2500)]
        row = table.to_pylist()[5]
        assert row["time"] == dt.datetime(2100, 1, 1, 18, 0, 0, 5, tzinfo=dt.UTC)
        assert json.loads(row["prediction"]) == {
            "prediction": "yes",
            "probability": {"no": 0.25, "yes": 0.75},
        }
        assert json.loads(row["warnings"]) == [{"field": "age"}]
        found = (row["prediction_id"], row["model"], row["version"], row["sha256"], row["latency_us"])
        assert found == (f"{5:032x}", "m", "1", "ab", 7)
        compact_log(tmp_path)
    assert not list(tmp_path.rglob("*.frames"))
    (file,) = tmp_path.rglob("*.parquet")
    assert parquet.ParquetFile(file).metadata.row_group(0).column(5).compression == "ZSTD"


def test_one_folder_a_model_and_hour(tmp_path):
    with PredictionLog(tmp_path, every=0.001) as log:
        for i in range(30):
            put(log, i, T0 + (i // 10) * HOUR)
        put(log, 1, model="other")
    found = sorted(str(path.relative_to(tmp_path).parent) for path in tmp_path.rglob("*.frames"))
    assert sorted(set(found)) == [
        "m/2100-01-01T18",
        "m/2100-01-01T19",
        "m/2100-01-01T20",
        "other/2100-01-01T18",
    ]
    assert ids(tmp_path / "m") == [f"{i:032x}" for i in range(30)]


def test_since_and_until(tmp_path):
    with PredictionLog(tmp_path) as log:
        for i in range(6):
            put(log, 0, T0 + i * HOUR // 2, prediction_id=str(i))
    start = dt.datetime(2100, 1, 1, 18, tzinfo=dt.UTC)
    half = dt.timedelta(minutes=30)
    found = read_log(tmp_path, since=start + half, until=start + 4 * half)
    assert found["prediction_id"].to_pylist() == ["1", "2", "3"]
    assert read_log(tmp_path, since=start + 9 * half).num_rows == 0
    with pytest.raises(UsageError, match="time zone"):
        read_log(tmp_path, since=start.replace(tzinfo=None))


def test_too_much_waiting_is_dropped_and_counted(tmp_path):
    size = len(entry(0, 7, b'{"age":1}', answer(f"{1:032x}")))
    log = PredictionLog(tmp_path, every=60, max_bytes=10 * size)
    assert [put(log, i) for i in range(1, 10)] == [True] * 9
    assert [put(log, i) for i in (1, 2, 3)] == [True, False, False]
    assert (log.dropped, log.waiting_bytes) == (2, 10 * size)
    log.close()
    assert (log.written, read_log(tmp_path).num_rows) == (10, 10)
    assert not put(log, 5)


def test_many_threads_lose_nothing(tmp_path):
    log = PredictionLog(tmp_path, every=0.002)
    put(log, 0)

    def work(k):
        for i in range(500):
            put(log, 1 + k * 500 + i)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    log.close()
    assert log.dropped == 0
    assert sorted(ids(tmp_path)) == [f"{i:032x}" for i in range(2001)]


def test_a_reader_and_a_compaction_beside_a_writer_see_each_row_once(tmp_path, monkeypatch):
    monkeypatch.setattr(log_module, "_FILE_BYTES", 4_000)
    log = PredictionLog(tmp_path, every=0.001)
    seen = 0
    for i in range(200):
        put(log, i)
        if i % 20 == 0:
            while log.waiting_bytes:
                time.sleep(0.001)
            compact_log(tmp_path)
            found = ids(tmp_path)
            assert found == [f"{k:032x}" for k in range(len(found))]
            assert len(found) >= seen
            seen = len(found)
    assert list(tmp_path.rglob("*.parquet"))
    log.close()
    assert read_log(tmp_path).num_rows == 200


def test_a_compaction_that_was_killed_doubles_nothing(tmp_path, monkeypatch):
    with PredictionLog(tmp_path) as log:
        for i in range(10):
            put(log, i)
    monkeypatch.setattr(log_module.Path, "unlink", lambda *_, **__: None)
    compact_log(tmp_path)
    monkeypatch.undo()
    assert len(list(tmp_path.rglob("*.frames"))) == len(list(tmp_path.rglob("*.parquet"))) == 1
    assert ids(tmp_path) == [f"{i:032x}" for i in range(10)]
    assert compact_log(tmp_path) == 1
    assert ids(tmp_path) == [f"{i:032x}" for i in range(10)]


def test_every_torn_tail_costs_only_the_last_block(tmp_path):
    parts = [
        [entry(i, 7, b'{"age":%d}' % i, answer(f"{i:032x}")) for i in range(k, k + 3)] for k in (0, 3, 6)
    ]
    blocks = [block(b'{"model":"m","version":"1","sha256":"ab"}', some) for some in parts]
    whole = b"".join(blocks)
    for cut in range(len(blocks[0]) + len(blocks[1]), len(whole)):
        assert sum(found.n_entries for found in read_blocks(whole[:cut])) == 6
    folder = tmp_path / "m" / "2100-01-01T18"
    folder.mkdir(parents=True)
    (folder / f"{'a' * 16}.00000000.frames").write_bytes(whole[:-1])
    (folder / f"{'b' * 16}.00000000.frames").write_bytes(blocks[0][:20])
    (folder / f"{'c' * 16}.00000000.frames").write_bytes(b"")
    assert read_log(tmp_path).num_rows == 6
    assert compact_log(tmp_path) == 3
    assert read_log(tmp_path).num_rows == 6


@PROPERTY
@given(st.data())
def test_a_damaged_block_costs_only_itself(data):
    payloads = data.draw(st.lists(st.lists(st.binary(max_size=30), max_size=4), min_size=1, max_size=5))
    blocks = [block(b"{}", [entry(i, 0, text, b"x") for i, text in enumerate(some)]) for some in payloads]
    which = data.draw(st.integers(0, len(blocks) - 1))
    broken = bytearray(blocks[which])
    broken[data.draw(st.integers(0, len(broken) - 1))] ^= data.draw(st.integers(1, 255))
    found = [
        list(entries(b.payload))
        for b in read_blocks(b"".join([*blocks[:which], broken, *blocks[which + 1 :]]))
    ]
    others = [[(i, 0, text, b"x") for i, text in enumerate(s)] for k, s in enumerate(payloads) if k != which]
    assert [one for one in found if one] == [one for one in others if one]


def test_a_mark_within_a_record_confuses_nobody():
    inner = block(b"{}", [entry(1, 2, b"inner", b"x")])
    outer = block(b"{}", [entry(3, 4, inner, b"y")])
    assert [list(entries(b.payload)) for b in read_blocks(outer)] == [[(3, 4, inner, b"y")]]


def test_foreign_files_are_not_read(tmp_path):
    with PredictionLog(tmp_path) as log:
        put(log, 1)
    folder = next(tmp_path.rglob("*.frames")).parent
    (folder / ".x.parquet.abc").write_bytes(b"half")
    (folder / "other.parquet").write_bytes(b"not a parquet file")
    (folder / "other.frames").write_bytes(b"nor this")
    assert read_log(tmp_path).num_rows == 1


def test_two_writers_share_a_directory(tmp_path):
    with PredictionLog(tmp_path) as first, PredictionLog(tmp_path) as second:
        put(first, 1)
        put(second, 2)
    assert ids(tmp_path) == [f"{i:032x}" for i in (1, 2)]


def test_a_disk_that_refuses_is_counted_and_said(tmp_path, capsys):
    log = PredictionLog(tmp_path, every=60)
    (tmp_path / "m").write_text("in the way of the folder")
    put(log, 1)
    put(log, 2, model="good")
    log.close()
    assert (log.dropped, log.written) == (1, 1)
    assert log.error
    assert json.loads(capsys.readouterr().err)["rows"] == 1


def test_a_write_that_fails_half_way_leaves_whole_blocks(tmp_path, monkeypatch, capsys):
    real = os.write
    calls = []

    def full(handle, data):
        calls.append(len(data))
        if len(calls) == 2:
            real(handle, bytes(data)[:10])
            raise OSError(28, "No space left on device")
        return real(handle, data)

    log = PredictionLog(tmp_path, every=0.001)
    monkeypatch.setattr(log_module.os, "write", full)
    for i in range(3):
        put(log, i)
        while log.waiting_bytes:
            time.sleep(0.002)
    log.close()
    monkeypatch.undo()
    assert (log.written, log.dropped) == (2, 1)
    assert ids(tmp_path) == [f"{i:032x}" for i in (0, 2)]
    assert "No space left" in capsys.readouterr().err


def test_no_log(tmp_path):
    with pytest.raises(StoreError, match="no prediction log"):
        read_log(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        PredictionLog(tmp_path / "file" / "log")
    assert read_log(tmp_path).num_rows == 0


@pytest.mark.parametrize("name", ["..", ".", "../../x", "a/b", "/", "%2E", "\x00", ".hidden"])
def test_a_model_is_one_folder_below_the_log(tmp_path, name):
    folder = tmp_path / folder_name(name)
    assert folder.resolve().parent == tmp_path.resolve()
    assert not folder.name.startswith(".")


def test_the_service_logs_what_it_answers(tmp_path, client_of):
    app = App(make(), log=PredictionLog(tmp_path), version="7")
    client = client_of(app)
    records = [{**RECORD, "age": 18 + i} for i in range(20)]
    answers = [client.predict(records[0]).json(), *client.predict(records[1:]).json()]
    assert client.predict({"age": "x"}).status == 422
    app.close()
    rows = {row["prediction_id"]: row for row in read_log(tmp_path).to_pylist()}
    assert set(rows) == {answer["prediction_id"] for answer in answers}
    for record, given_ in zip(records, answers, strict=True):
        row = rows[given_["prediction_id"]]
        assert json.loads(row["record"]) == record
        assert json.loads(row["prediction"]) == {k: given_[k] for k in ("prediction", "probability")}
        assert (row["model"], row["version"], row["sha256"]) == ("telco", "7", "ab" * 32)
        assert row["latency_us"] >= 0
        assert abs(row["time"].timestamp() - time.time()) < 60
    assert client.get("/ready").json()["log_written"] == 20


# Personal data


PII = Schema(tuple(replace(c, pii=c.name in {"note", "plan", "customer"}) for c in SCHEMA.columns))


def test_personal_values_are_in_no_log(tmp_path, capsys):
    predictor = build(schema=PII)
    app = App(predictor, log=PredictionLog(tmp_path), version="7")
    client = Client(app)
    record = {"customer": "C-secret", "age": 44, "plan": "secret plan", "note": "secret note"}
    one = client.predict(record).json()
    assert one["warnings"][0]["got"] == "secret plan"  # the caller knows it anyway
    client.predict({"customer": "C-secret", "age": 44, "plan": "year", "note": "secret note"})
    client.predict([record, record])
    client.predict({key: [value] for key, value in record.items()})
    app.close()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*.frames"))
    assert b"secret" not in files
    row = find_prediction(tmp_path, one["prediction_id"])
    assert row["record"] == {"customer": None, "age": 44, "plan": None, "note": None}
    assert row["warnings"][0]["got"] is None

    class Broken:
        def predict_row(self, rows):
            raise ValueError("secret in an error")

    predictor = build(schema=PII)
    predictor.ensemble, predictor.path = Broken(), None
    broken = App(predictor)
    assert Client(broken).predict({"age": 44, "plan": "year"}).status == 500
    broken.close()
    err = capsys.readouterr().err
    assert "ValueError" in err
    assert "secret" not in err.replace('raise ValueError("secret in an error")', "").replace(
        'raise ValueError(\\"secret in an error\\")', ""
    )


def test_a_marked_column_survives_the_schemas_json():
    assert Schema.from_json(PII.to_json()) == PII
    assert "pii" not in SCHEMA.to_json()[0]


# One prediction


def test_a_prediction_is_found_by_its_id(tmp_path):
    now = time.time_ns()
    wanted = [new_id() for _ in range(200)]
    with PredictionLog(tmp_path) as log:
        for i, id_ in enumerate(wanted):
            put(log, i, now, prediction_id=id_)
    for _ in range(2):
        for i in (0, 77, 199):
            row = find_prediction(tmp_path, wanted[i])
            assert row["record"] == {"age": i}
            assert row["prediction"] == {"prediction": "yes", "probability": {"no": 0.25, "yes": 0.75}}
            assert (row["model"], row["version"], row["sha256"], row["latency_us"]) == ("m", "1", "ab", 7)
            assert row["time"].timestamp() == pytest.approx(now / 1e9 + i / 1e6, abs=1e-4)
        compact_log(tmp_path)
    with pytest.raises(StoreError, match="does not hold"):
        find_prediction(tmp_path, new_id())
    with pytest.raises(UsageError, match="not the id"):
        find_prediction(tmp_path, "../../etc")
    assert id_time(wanted[0]) == pytest.approx(now / 1e9, abs=5)


# Killed

SCRIPT = """
    import sys, time
    from mlwright.serving import PredictionLog
    log = PredictionLog(sys.argv[1])
    channel = log.channel("m", "1", "ab")
    for i in range(10**9):
        answer = b'{"prediction":1,"warnings":[],"prediction_id":"%032x"}' % i
        channel.put(time.time_ns(), 1, b'{"i":%d}' % i, answer)
        if i % 50 == 0:
            sys.stdout.write(f"{i} {time.time()}\\n")
            sys.stdout.flush()
            time.sleep(0.002)
"""


def test_kill_loses_the_last_second_at_most(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    told = []
    ends = time.monotonic() + 4
    for line in process.stdout:
        told.append(line.split())
        if time.monotonic() > ends:
            process.send_signal(signal.SIGKILL)
            break
    told += [line.split() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    table = read_log(tmp_path)
    found = [int(id_, 16) for id_ in table["prediction_id"].to_pylist()]
    assert found == list(range(len(found)))  # each once, in order, without a gap
    killed = float(told[-1][1])
    promised = max(int(number) for number, moment in told if float(moment) < killed - 1.0)
    assert len(found) > promised
    assert compact_log(tmp_path) == 1  # the dead writer's lock is gone
    assert read_log(tmp_path).num_rows == len(found)
