"""Serving: requests a second and latency of mlwright, of a bare echo, and of other stacks, side by side.

    python serving.py [--seconds 3] [--rounds 3] [--json] [--skip fastapi,mlflow,bentoml,churn]

One record in, one prediction out, over HTTP by wrk (https://github.com/wg/wrk) with 1 and 16 connections, the same
record for all. The model is 300 LightGBM trees of 31 leaves on 14 mixed columns like those of the Adult census, drawn
here from a seed. Machines differ and are shared: what counts are the ratios, each a median over rounds in which echo and
contender take turns. A stack that is not installed has null.

  echo_ratio_c16       mlwright's requests a second over those of a bare ASGI echo on uvicorn, 16 connections
  echo_cpu_ratio_c16   the echo's processor time a request over mlwright's: what echo_ratio_c16 is on an idle machine
  echo_p50_ratio_c1    mlwright's median latency over the echo's, 1 connection
  fastapi_ratio_c16    mlwright over FastAPI, pydantic, pandas and a scikit-learn pipeline with the same trees
  mlflow_ratio_c16     mlwright over MLflow's scoring server with that pipeline
  bentoml_ratio_c16    mlwright over BentoML with that pipeline
  predict_one_us       median microseconds of Predictor.predict_one from a dict, in process
  predict_one_varied_us the same over a thousand different records, which no processor can foresee
  churn_predict_one_us the same as predict_one_us for the churn example's winner
  bulk_ratio           rows a second of Predictor.predict_arrow over those of LightGBM's own predict on the ready matrix
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

SEED, N_ROWS, N_TREES = 7, 20_000, 300
NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
LEVELS = {
    "workclass": 8, "education": 16, "marital_status": 7, "occupation": 14, "relationship": 6, "race": 5, "sex": 2,
    "native_country": 41,
}  # fmt: skip


def table() -> Any:
    """Return an Arrow table like the Adult census: 6 numbers, 8 categories, 2 % of cells missing, and the target."""
    import pyarrow as pa

    draw = np.random.default_rng(SEED)
    missing = {name: draw.random(N_ROWS) < 0.02 for name in (*NUMBERS, *LEVELS)}
    numbers = {
        "age": draw.integers(17, 91, N_ROWS),
        "fnlwgt": draw.integers(12_000, 1_500_000, N_ROWS),
        "education_num": draw.integers(1, 17, N_ROWS),
        "capital_gain": draw.choice([0, 0, 0, 0, 3103, 7298, 15024], N_ROWS),
        "capital_loss": draw.choice([0, 0, 0, 0, 1485, 1902], N_ROWS),
        "hours_per_week": draw.integers(1, 100, N_ROWS),
    }
    codes = {
        name: np.minimum(draw.geometric(min(2 / n, 0.6), N_ROWS) - 1, n - 1) for name, n in LEVELS.items()
    }
    odds = (
        0.04 * (numbers["age"] - 40) - 0.0006 * (numbers["age"] - 45) ** 2 + 0.3 * (numbers["education_num"] - 9)
        + 0.03 * (numbers["hours_per_week"] - 40) + (numbers["capital_gain"] > 5000) * 2.0
        + np.sin(codes["occupation"]) + np.cos(codes["marital_status"]) + draw.normal(0, 1.0, N_ROWS) - 0.5
    )  # fmt: skip
    columns = {name: pa.array(values.astype(float), mask=missing[name]) for name, values in numbers.items()}
    for name, values in codes.items():
        words = np.array([f"{name.replace('_', ' ')} {i}" for i in range(LEVELS[name])])
        columns[name] = pa.array(words[values], mask=missing[name])
    return pa.table({**columns, "income": np.where(odds > 0, ">50K", "<=50K")})


RECORD = {
    "age": 39, "fnlwgt": 77516, "education_num": 13, "capital_gain": 0, "capital_loss": 0, "hours_per_week": 40,
    "workclass": "workclass 2", "education": "education 3", "marital_status": "marital status 1",
    "occupation": "occupation 4", "relationship": "relationship 0", "race": "race 1", "sex": "sex 1",
    "native_country": "native country 0",
}  # fmt: skip


def build(folder: Path) -> Path:
    """Fit 300 trees with mlwright's own parts and write the bundle."""
    from mlwright import bundle
    from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
    from mlwright.data.values import columns
    from mlwright.features.category_codes import CategoryCodes
    from mlwright.features.number import Number
    from mlwright.features.plan import FeaturePlan
    from mlwright.models.base import FitContext
    from mlwright.models.ensemble import Ensemble, Member
    from mlwright.models.lightgbm import LightGBM
    from mlwright.serving.predictor import Predictor

    rows = table()
    schema = Schema(
        (
            *(Column(name, Kind.NUMERIC, dtype="float", low=0.0, high=2e6) for name in NUMBERS),
            *(
                Column(
                    name,
                    Kind.CATEGORICAL,
                    levels=tuple(sorted(set(rows[name].to_pylist()) - {None})),
                )
                for name in LEVELS
            ),
            Column("income", Kind.CATEGORICAL, Role.TARGET, levels=("<=50K", ">50K")),
        )
    )
    task = Task(TaskKind.BINARY, "income", "roc_auc", ("<=50K", ">50K"))
    y = np.array([label == ">50K" for label in rows["income"].to_pylist()], dtype=float)
    plan = FeaturePlan([*map(Number, NUMBERS), *map(CategoryCodes, LEVELS)])
    matrix = plan.fit_batch(columns(rows, schema), y, n_classes=2, seed=0)
    context = FitContext(task, categorical=plan.categorical, n_iterations=N_TREES)
    model = LightGBM(learning_rate=0.1, num_leaves=31).fit(matrix, y, context)
    ensemble = Ensemble([Member("all", model, 1.0)])
    contents = bundle.Contents(
        "adult",
        task.to_json(),
        schema.to_json(),
        bundle.State.nest({"all": plan.state()}),
        ensemble.states(),
        [{"view": "all", "weight": 1.0, "link": "identity"}],
        {},
    )
    predictor = Predictor(contents.manifest, {"all": plan}, ensemble)
    golden = []
    for record in rows.slice(0, 20).drop_columns(["income"]).to_pylist():
        answer = predictor.predict_one(record)
        golden.append({"record": record, "prediction": {k: answer[k] for k in ("prediction", "probability")}})
    contents.golden.extend(golden)
    bundle.write(contents, folder / "bundle")
    np.save(folder / "matrix.npy", matrix)
    return folder / "bundle"


ECHO = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""

MLWRIGHT = """
import sys
from mlwright.serving import serve
serve(sys.argv[1], port=int(sys.argv[2]), name="adult", version="1", log_directory=sys.argv[3] or None)
"""

PIPELINE = """
import sys
sys.path.insert(0, {here!r})
import lightgbm
import pandas as pd
from serving import LEVELS, N_TREES, NUMBERS, table
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler


def fitted():
    rows = table()
    # Plain objects for strings: what pandas itself would infer for one row differs from a whole column's type.
    frame = pd.DataFrame(dict(zip(rows.column_names, (c.to_pylist() for c in rows.columns))))
    for name in LEVELS:
        frame[name] = frame[name].astype(object)
    encode = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(NUMBERS)),
        ("words", make_pipeline(SimpleImputer(strategy="constant", fill_value="?"), OneHotEncoder(handle_unknown="ignore")),
         list(LEVELS)),
    ])
    trees = lightgbm.LGBMClassifier(n_estimators=N_TREES, num_leaves=31, n_jobs=1, verbose=-1)
    return make_pipeline(encode, trees).fit(frame.drop(columns="income"), frame["income"])
"""

FASTAPI = """
import pandas as pd
from fastapi import FastAPI
from pipeline import LEVELS, NUMBERS, fitted
from pydantic import create_model

model = fitted()
Record = create_model("Record", **{n: (float | None, None) for n in NUMBERS}, **{n: (str | None, None) for n in LEVELS})
app = FastAPI()


@app.post("/predict")
def predict(record: Record):
    frame = pd.DataFrame([record.model_dump()])
    for name in LEVELS:
        frame[name] = frame[name].astype(object)
    chances = model.predict_proba(frame)[0]
    return {"prediction": str(model.classes_[chances.argmax()]), "probability": dict(zip(model.classes_, map(float, chances)))}
"""

# MLflow's own format, with a loader that fits: what is measured is its server.
MLMODEL = "flavors:\n  python_function:\n    loader_module: mlflow_loader\n    python_version: '3.11'\n"
LOADER = """
from pipeline import LEVELS, fitted


class Model:
    def __init__(self):
        self.model = fitted()

    def predict(self, frame, params=None):
        for name in LEVELS:
            frame[name] = frame[name].astype(object)
        return self.model.predict_proba(frame)[:, 1]


def _load_pyfunc(path):
    return Model()
"""

BENTO = """
import bentoml
import pandas as pd
from pipeline import LEVELS, fitted


@bentoml.service(workers=1)
class Adult:
    def __init__(self):
        self.model = fitted()

    @bentoml.api
    def predict(self, record: dict) -> dict:
        frame = pd.DataFrame([record])
        for name in LEVELS:
            frame[name] = frame[name].astype(object)
        return {"probability": float(self.model.predict_proba(frame)[0, 1])}
"""


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    command: list[str],
    port: int,
    folder: Path,
    probe: bytes,
    path: str,
    environment: dict[str, str] | None = None,
) -> Iterator[tuple[str, int]]:
    """Run a server until it has answered the record once; end it by SIGTERM."""
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=log,
            env=os.environ | (environment or {}),
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{port}{path}", probe, {"content-type": "application/json"}
                )
                with urllib.request.urlopen(request, timeout=10) as reply:
                    reply.read()
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"{command[:4]}: {(folder / f'{port}.log').read_text()[-2000:]}"
                    ) from error
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}{path}", process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def load(
    server: tuple[str, int], body: bytes, connections: int, seconds: int, folder: Path
) -> dict[str, float]:
    """Ask by wrk; requests a second, latencies in milliseconds, and the server's own processor time a request."""
    (url, pid), before = server, cpu_seconds(server[1])
    script = folder / "post.lua"
    script.write_text(
        f'wrk.method = "POST"\nwrk.body = {json.dumps(body.decode())}\n'
        'wrk.headers["content-type"] = "application/json"\n'
    )
    told = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "--latency", "-s", script, url],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in told:
        raise RuntimeError(f"{url} refused: {told}")
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    shares = {s: float(v) * units[u] for s, v, u in re.findall(r"(50|99)%\s+([\d.]+)(us|ms|s)", told)}
    n = int(re.search(r"(\d+) requests in", told)[1])
    return {
        "cpu_us": (cpu_seconds(pid) - before) / n * 1e6,
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", told)[1]),
        "p50_ms": shares["50"],
        "p99_ms": shares["99"],
    }


def contenders(
    stack: ExitStack, folder: Path, bundle: Path, skip: set[str]
) -> dict[str, tuple[tuple[str, int], bytes]]:
    """Start every server that is installed; return addresses and bodies."""
    record = json.dumps(RECORD).encode()
    here = str(Path(__file__).resolve().parent)
    for name, text in {
        "echo.py": ECHO, "serve_mlwright.py": MLWRIGHT, "pipeline.py": PIPELINE.format(here=here), "fast.py": FASTAPI,
        "mlflow_loader.py": LOADER, "bento.py": BENTO, "mlflow_model/MLmodel": MLMODEL,
    }.items():  # fmt: skip
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    uvicorn = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    quiet = ["--log-level", "warning"]
    found: dict[str, tuple[tuple[str, int], bytes]] = {}

    def start(
        name: str,
        command: list[str],
        path: str = "/predict",
        body: bytes = record,
        environment: dict[str, str] | None = None,
    ) -> None:
        port = free_port()
        command = [word.replace("PORT", str(port)) for word in command]
        found[name] = stack.enter_context(running(command, port, folder, body, path, environment)), body

    start("echo", [*uvicorn, *quiet, "echo:app", "--port", "PORT"])
    start("mlwright", [sys.executable, "serve_mlwright.py", str(bundle), "PORT", str(folder / "log")])
    start("mlwright, no log", [sys.executable, "serve_mlwright.py", str(bundle), "PORT", ""])
    if "fastapi" not in skip and find_spec("fastapi") and find_spec("pandas"):
        start("fastapi", [*uvicorn, *quiet, "fast:app", "--port", "PORT"])
    if "mlflow" not in skip and find_spec("mlflow") and find_spec("fastapi") and find_spec("pandas"):
        environment = {"__pyfunc_model_path__": str(folder / "mlflow_model"), "PYTHONPATH": str(folder)}
        body = json.dumps({"dataframe_records": [RECORD]}).encode()
        command = [*uvicorn, *quiet, "mlflow.pyfunc.scoring_server.app:app", "--port", "PORT"]
        start("mlflow", command, "/invocations", body, environment)
    if "bentoml" not in skip and find_spec("bentoml"):
        body = json.dumps({"record": RECORD}).encode()
        start("bentoml", ["bentoml", "serve", "bento:Adult", "--port", "PORT"], "/predict", body)
    return found


def over_http(
    folder: Path, bundle: Path, options: argparse.Namespace, skip: set[str]
) -> dict[str, dict[str, list]]:
    """Return for each server and number of connections what each round gave; servers take turns."""
    told: dict[str, dict[str, list]] = {}
    with ExitStack() as stack:
        servers = contenders(stack, folder, bundle, skip)
        for url, body in servers.values():
            load(url, body, 4, 1, folder)
        for _ in range(options.rounds):
            for connections in (1, 16):
                for name, (url, body) in servers.items():
                    seconds = (
                        options.seconds if "mlwright" in name or name == "echo" else min(options.seconds, 2)
                    )
                    found = load(url, body, connections, seconds, folder)
                    told.setdefault(name, {}).setdefault(f"c{connections}", []).append(found)
    return told


def predict_one(predictor: Any, *records: dict, n: int = 5_000) -> float:
    """Return the median microseconds of one call, over the records in turn."""
    times = []
    for record in itertools.islice(itertools.cycle(records), n):
        began = time.perf_counter_ns()
        predictor.predict_one(record)
        times.append(time.perf_counter_ns() - began)
    return statistics.median(times[n // 10 :]) / 1000


def varied() -> list[dict]:
    """Return a thousand different records that have all their fields."""
    records = table().slice(0, 2_000).drop_columns(["income"]).to_pylist()
    return [record for record in records if None not in record.values()][:1_000]


def bulk_ratio(predictor: Any, folder: Path) -> float | None:
    """Return mlwright's bulk rows a second over LightGBM's own on the ready matrix, best of five each."""
    if find_spec("lightgbm") is None:
        return None
    import lightgbm

    matrix = np.load(folder / "matrix.npy")
    rows = table().drop_columns(["income"])
    text = predictor.ensemble.members[0].model.state().blobs
    booster = lightgbm.Booster(model_str=next(iter(text.values())).decode())
    seconds: dict[str, float] = {"ours": 1e9, "theirs": 1e9}
    for _ in range(5):
        for name, call in (
            ("ours", lambda: predictor.predict_arrow(rows)),
            ("theirs", lambda: booster.predict(matrix)),
        ):
            began = time.perf_counter()
            call()
            seconds[name] = min(seconds[name], time.perf_counter() - began)
    return seconds["theirs"] / seconds["ours"]


def churn(folder: Path) -> float | None:
    """Train the churn example for 30 s and return the microseconds of one call of its winner."""
    import mlwright

    example = folder / "churn"
    shutil.copytree(Path(__file__).resolve().parent.parent / "examples" / "churn", example)
    result = mlwright.run(str(example), budget="30s", store=str(folder / "store"))
    predictor = mlwright.load(str(result.bundle))
    record = next(r["record"] for r in predictor.golden)
    return predict_one(predictor, record, n=2_000)


def ratio(told: dict[str, Any], contender: str, base: str, connections: str, key: str) -> float | None:
    """Return the median over rounds of contender's number over base's."""
    if contender not in told or base not in told:
        return None
    pairs = zip(told[contender][connections], told[base][connections], strict=True)
    return round(statistics.median(a[key] / b[key] for a, b in pairs), 3)


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip", default="", help="comma-separated: fastapi, mlflow, bentoml, churn")
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    skip = set(options.skip.split(","))
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed")
    with tempfile.TemporaryDirectory(prefix="serving-") as place:
        folder = Path(place)
        bundle = build(folder)
        told = over_http(folder, bundle, options, skip)
        from mlwright.serving import Predictor

        predictor = Predictor.load(bundle)
        result = {
            "echo_ratio_c16": ratio(told, "mlwright", "echo", "c16", "rps"),
            "echo_ratio_c16_no_log": ratio(told, "mlwright, no log", "echo", "c16", "rps"),
            "echo_cpu_ratio_c16": ratio(told, "echo", "mlwright", "c16", "cpu_us"),
            "echo_cpu_ratio_c16_no_log": ratio(told, "echo", "mlwright, no log", "c16", "cpu_us"),
            "echo_p50_ratio_c1": ratio(told, "mlwright", "echo", "c1", "p50_ms"),
            "fastapi_ratio_c16": ratio(told, "mlwright", "fastapi", "c16", "rps"),
            "mlflow_ratio_c16": ratio(told, "mlwright", "mlflow", "c16", "rps"),
            "bentoml_ratio_c16": ratio(told, "mlwright", "bentoml", "c16", "rps"),
            "predict_one_us": round(predict_one(predictor, RECORD), 2),
            "predict_one_varied_us": round(predict_one(predictor, *varied()), 2),
            "churn_predict_one_us": None if "churn" in skip else round(churn(folder) or 0.0, 2),
            "bulk_ratio": bulk_ratio(predictor, folder),
        }
    servers = {
        name: {
            connections: {key: round(statistics.median(r[key] for r in rounds), 3) for key in rounds[0]}
            for connections, rounds in found.items()
        }
        for name, found in told.items()
    }
    if options.json:
        print(json.dumps(result | {"servers": servers}))
        return 0
    for name, found in servers.items():
        for connections, numbers in found.items():
            print(
                f"{name:18} {connections:4} {numbers['rps']:10,.0f} requests/s  p50 {numbers['p50_ms']:8.3f} ms  p99 {numbers['p99_ms']:8.3f} ms"
            )
    for name, value in result.items():
        print(f"{name:24} {'-' if value is None else value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
