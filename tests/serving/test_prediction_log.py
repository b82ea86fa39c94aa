"""The prediction log: nothing lost, nothing doubled, nothing torn, and never in the way."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time

import pytest
from pyarrow import parquet
from serving_fakes import RECORD, make

from mlwright.core.errors import StoreError, UsageError
from mlwright.serving import App, PredictionLog, read_log
from mlwright.serving import log as log_module
from mlwright.serving.log import Entry, folder_name

HOUR = 3600 * 10**9
T0 = 4_102_509_600 * 10**9  # 2100-01-01T18:00:00Z: an hour that is not over, so that only close merges
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


def entry(i, time_ns=T0, **changes):
    answer = {
        "prediction": "yes",
        "probability": {"no": 0.25, "yes": 0.75},
        "warnings": [{"field": "age"}],
        "model": "m",
    }
    whole = Entry(time_ns + i * 1000, f"{i:032x}", "m", "1", "ab", b'{"age":%d}' % i, answer, 7, 100)
    return whole._replace(**changes)


def test_rows_come_back(tmp_path):
    with PredictionLog(tmp_path) as log:
        for i in range(1000):
            assert log.put(entry(i))
    assert (log.written, log.dropped, log.error) == (1000, 0, None)
    table = read_log(tmp_path)
    assert table.column_names == NAMES
    assert table["record"].to_pylist() == [f'{{"age":{i}}}' for i in range(1000)]
    row = table.to_pylist()[5]
    assert row["time"] == dt.datetime(2100, 1, 1, 18, 0, 0, 5, tzinfo=dt.UTC)
    assert json.loads(row["prediction"]) == {"prediction": "yes", "probability": {"no": 0.25, "yes": 0.75}}
    assert json.loads(row["warnings"]) == [{"field": "age"}]
    assert (row["prediction_id"], row["version"], row["sha256"], row["latency_us"]) == (
        f"{5:032x}",
        "1",
        "ab",
        7,
    )


def test_one_file_an_hour_after_close(tmp_path):
    log = PredictionLog(tmp_path, every=0.001)
    for i in range(30):
        log.put(entry(i, T0 + (i // 10) * HOUR))
        time.sleep(0.003)
    log.close()
    files = sorted(str(path.relative_to(tmp_path).parent) for path in tmp_path.rglob("*.parquet"))
    assert files == ["m/2100-01-01T18", "m/2100-01-01T19", "m/2100-01-01T20"]
    assert read_log(tmp_path)["prediction_id"].to_pylist() == [f"{i:032x}" for i in range(30)]
    assert (
        parquet.ParquetFile(next(tmp_path.rglob("*.parquet"))).metadata.row_group(0).column(5).compression
        == "ZSTD"
    )


def test_since_and_until(tmp_path):
    with PredictionLog(tmp_path) as log:
        for i in range(6):
            log.put(entry(0, T0 + i * HOUR // 2, prediction_id=str(i)))
    start = dt.datetime(2100, 1, 1, 18, tzinfo=dt.UTC)
    half = dt.timedelta(minutes=30)
    assert read_log(tmp_path, since=start + half, until=start + 4 * half)["prediction_id"].to_pylist() == [
        "1",
        "2",
        "3",
    ]
    assert read_log(tmp_path, since=start + 9 * half).num_rows == 0
    with pytest.raises(UsageError, match="time zone"):
        read_log(tmp_path, since=start.replace(tzinfo=None))


def test_a_full_queue_drops_and_counts(tmp_path):
    log = PredictionLog(tmp_path, every=60, max_rows=10)
    assert [log.put(entry(i)) for i in range(15)] == [True] * 10 + [False] * 5
    assert log.dropped == 5
    log.close()
    assert read_log(tmp_path).num_rows == 10
    assert not log.put(entry(99))
    log = PredictionLog(tmp_path / "b", every=60, max_bytes=250)
    assert [log.put(entry(i)) for i in range(3)] == [True, True, False]
    log.close()


def test_many_threads_lose_nothing(tmp_path):
    log = PredictionLog(tmp_path, every=0.002, rows=50)

    def work(k):
        for i in range(500):
            log.put(entry(k * 500 + i))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    log.close()
    assert log.dropped == 0
    assert sorted(read_log(tmp_path)["prediction_id"].to_pylist()) == [f"{i:032x}" for i in range(2000)]


def test_a_reader_beside_a_writer_sees_each_row_once(tmp_path):
    log = PredictionLog(tmp_path, every=0.001)
    seen = 0
    for i in range(200):
        log.put(entry(i))
        if i % 20 == 0:
            ids = read_log(tmp_path)["prediction_id"].to_pylist()
            assert len(ids) == len(set(ids))
            assert ids == [f"{k:032x}" for k in range(len(ids))]
            assert len(ids) >= seen
            seen = len(ids)
    log.close()
    assert read_log(tmp_path).num_rows == 200


def test_a_merge_that_was_killed_doubles_nothing(tmp_path, monkeypatch):
    # The merged file is there and the small ones still are, as after a SIGKILL between the two.
    monkeypatch.setattr(log_module.Path, "unlink", lambda *_, **__: None)
    log = PredictionLog(tmp_path, every=0.001)
    for i in range(10):
        log.put(entry(i))
        time.sleep(0.005)
    log.close()
    assert len(list(tmp_path.rglob("*.parquet"))) > 1
    assert read_log(tmp_path)["prediction_id"].to_pylist() == [f"{i:032x}" for i in range(10)]


def test_temporary_and_foreign_files_are_not_read(tmp_path):
    with PredictionLog(tmp_path) as log:
        log.put(entry(1))
    folder = next(tmp_path.rglob("*.parquet")).parent
    (folder / ".x.parquet.abc").write_bytes(b"half")
    (folder / "other.parquet").write_bytes(b"not a parquet file")
    assert read_log(tmp_path).num_rows == 1


def test_two_writers_share_a_directory(tmp_path):
    first, second = PredictionLog(tmp_path), PredictionLog(tmp_path)
    first.put(entry(1))
    second.put(entry(2))
    first.close()
    second.close()
    assert read_log(tmp_path)["prediction_id"].to_pylist() == [f"{i:032x}" for i in (1, 2)]


def test_a_disk_that_refuses_is_counted_and_said(tmp_path, capsys):
    log = PredictionLog(tmp_path, every=60)
    (tmp_path / "m").write_text("in the way of the folder")
    log.put(entry(1))
    log.close()
    assert log.dropped == 1
    assert log.error
    assert json.loads(capsys.readouterr().err)["rows"] == 1


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
    predictor = make()
    app = App(predictor, log=PredictionLog(tmp_path), version="7")
    client = client_of(app)
    records = [{**RECORD, "age": 18 + i} for i in range(20)]
    answers = [client.predict(records[0]).json(), *client.predict(records[1:]).json()]
    assert client.predict({"age": "x"}).status == 422
    app.close()
    rows = {row["prediction_id"]: row for row in read_log(tmp_path).to_pylist()}
    assert set(rows) == {answer["prediction_id"] for answer in answers}
    for record, answer in zip(records, answers, strict=True):
        row = rows[answer["prediction_id"]]
        assert json.loads(row["record"]) == record
        assert json.loads(row["prediction"]) == {k: answer[k] for k in ("prediction", "probability")}
        assert (row["model"], row["version"], row["sha256"]) == ("telco", "7", "ab" * 32)
        assert row["latency_us"] >= 0
        assert abs(row["time"].timestamp() - time.time()) < 60
    assert client.get("/ready").json()["log_written"] == 20
