"""A served name follows its alias, under load, past versions that do not prove themselves; stop, fallback and rollout."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from serving_fakes import RECORD, SumPlan, make
from wire_client import Raw, listening, request

from mlwright import bundle
from mlwright.core.errors import UsageError
from mlwright.data.schema import Column, Kind, Role, Schema, Task, TaskKind
from mlwright.data.values import columns
from mlwright.features.number import Number
from mlwright.features.plan import FeaturePlan
from mlwright.models.base import FitContext
from mlwright.models.ensemble import Ensemble, Member
from mlwright.models.linear import Linear
from mlwright.serving import Predictor
from mlwright.serving.endpoint import Endpoint
from mlwright.serving.fallback import Degraded, constant_outputs
from mlwright.serving.live import Follower, Found, Loader
from mlwright.serving.prometheus import Metrics
from mlwright.serving.service import Rollout, Service, is_canary
from mlwright.serving.status import Status
from mlwright.serving.switch import Switch

pytestmark = pytest.mark.enable_socket
SCHEMA = Schema(
    (
        Column("who", Kind.ID, Role.IGNORED),
        Column("x", Kind.NUMERIC, dtype="float", required=True, low=-3.0, high=3.0),
        Column("y", Kind.NUMERIC, Role.TARGET, dtype="float"),
    )
)
TASK = Task(TaskKind.REGRESSION, "y", "rmse")


def contents(slope):
    x = np.linspace(-3, 3, 61)
    plan = FeaturePlan([Number("x")])
    matrix = plan.fit_batch(columns(pa.table({"x": x}), SCHEMA, ["x"]), slope * x, n_classes=0, seed=0)
    model = Linear().fit(matrix, slope * x, FitContext(TASK, categorical=plan.categorical))
    ensemble = Ensemble([Member("all", model, 1.0)])
    members = [{"view": "all", "weight": 1.0, "link": "identity"}]
    reference = {"predictions": {"value": {"mean": 0.25}}}
    made = bundle.Contents(
        "line",
        TASK.to_json(),
        SCHEMA.to_json(),
        bundle.State.nest({"all": plan.state()}),
        ensemble.states(),
        members,
        {},
        reference,
    )
    predictor = Predictor(made.manifest, {"all": plan}, ensemble)
    records = [{"x": value} for value in (-2.0, 0.5, 2.5)]
    golden = [
        {"record": r, "prediction": {"prediction": predictor.predict_one(r)["prediction"]}} for r in records
    ]
    return replace(made, golden=golden)


@pytest.fixture(scope="module")
def versions(tmp_path_factory):
    """Versions 1 and 2 of slopes 2 and -3; 3 with a byte changed, 4 with a false golden record, 5 torn."""
    root = tmp_path_factory.mktemp("versions")
    one, two = contents(2.0), contents(-3.0)
    bundle.write(one, root / "1")
    bundle.write(two, root / "2")
    for name in ("3", "5"):
        bundle.write(two, root / name)
    (changed,) = (path for path in (root / "3" / "models").iterdir() if path.suffix == ".safetensors")
    data = bytearray(changed.read_bytes())
    data[-3] ^= 1
    changed.write_bytes(data)
    (root / "5" / "plan.json").unlink()
    bundle.write(replace(two, golden=[{**two.golden[0], "prediction": {"prediction": 9.0}}]), root / "4")
    return {str(number): Found(str(number), root / str(number)) for number in range(1, 6)}


SLOPES = {"1": 2.0, "2": -3.0}


def following(versions, aliases, *, fallback=None, rollout=None, switch=None, log=None):
    """A service over version 1 and its follower, which looks when told."""
    status, metrics = Status(), Metrics()

    def make_endpoint(predictor, version):
        return Endpoint(predictor, name="line", version=version, log=log, metrics=metrics, status=status)

    loader = Loader(make_endpoint, fallback)
    first = versions["1"]
    loaded = loader.load(first.version, first.path)
    service = Service(loaded.endpoint, status=status, fallback=loaded.fallback, rollout=rollout)

    def now(function, *arguments):
        function(*arguments)

    return service, Follower(service, loader, now, first=first, find=aliases.get, switch=switch, every=0.02)


def ask(service, x=0.5, path="/predict", **more):
    response = service.respond(path, json.dumps({"x": x, **more}).encode())
    return response.status, json.loads(response.body)


def test_promotion_rollback_and_refusal(versions, capsys):
    aliases = {"champion": versions["1"]}
    service, follower = following(versions, aliases)
    follower.look()
    assert (service.status.swaps, ask(service)[1]["version"]) == (0, "1")
    for bad in ("3", "4", "5"):
        aliases["champion"] = versions[bad]
        follower.look()
        follower.look()  # not tried again at once
        assert ask(service)[1]["version"] == "1"
        ready = json.loads(service.respond("/ready").body)
        assert (ready["version"], service.status.wanted) == ("1", bad)
        assert ready["last_fault"].startswith(f"version {bad}: ")
        assert (
            f"mlwright_swap_faults_total {service.status.swap_faults}"
            in service.respond("/metrics").body.decode()
        )
    assert service.status.swap_faults == 3
    aliases["champion"] = versions["2"]
    follower.look()
    status, answer = ask(service)
    assert (status, answer["version"]) == (200, "2")
    assert answer["prediction"] == pytest.approx(-1.5, abs=0.1)
    assert (service.status.swaps, service.status.last_fault, service.status.wanted) == (1, "", "")
    assert 'version="2"' in service.respond("/metrics").body.decode()
    before = service.endpoint
    aliases["champion"] = versions["1"]
    follower.look()
    assert ask(service)[1]["version"] == "1"
    aliases["champion"] = versions["2"]
    follower.look()
    assert service.endpoint is before  # the way back loads nothing
    aliases.clear()
    follower.look()
    assert ask(service)[1]["version"] == "2"
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["version refused"] * 3 + ["version swapped in"] * 3


def test_a_refused_version_is_tried_again_once_it_is_whole(versions, tmp_path, monkeypatch):
    monkeypatch.setattr("mlwright.serving.live._AGAIN", (0.0, 0.0))
    path = tmp_path / "6"
    aliases = {"champion": Found("6", path)}
    service, follower = following(versions, aliases)
    follower.look()
    assert service.status.wanted == "6"
    bundle.write(contents(-3.0), path)
    follower.look()
    assert ask(service)[1]["version"] == "6"
    assert (service.status.wanted, service.status.last_fault) == ("", "")


def test_swaps_under_load_fail_no_request(versions):
    """A change of the alias each half second, damaged versions among them, while four clients ask all the time."""
    aliases = {"champion": versions["1"]}
    service, follower = following(versions, aliases)
    wrong, counts, stop = [], {"1": 0, "2": 0}, threading.Event()

    def client(port):
        try:
            with Raw(port) as raw:
                i = 0
                while not stop.is_set():
                    i += 1
                    x = (i % 60) / 20 - 1.5
                    raw.send(request(json.dumps({"x": x}).encode()))
                    reply = raw.answer()
                    version = reply.json["version"]
                    expected = SLOPES[version] * x
                    if reply.status != 200 or abs(reply.json["prediction"] - expected) > 0.2:
                        wrong.append((reply.status, reply.json))
                    counts[version] += 1
        except Exception as error:  # noqa: BLE001 - the main thread says what went wrong
            wrong.append(error)

    with listening(service) as box:
        follower._call_soon = box.loop.call_soon_threadsafe
        clients = [threading.Thread(target=client, args=(box.port,)) for _ in range(4)]
        for thread in clients:
            thread.start()
        follower.start()
        for wanted in ("2", "3", "1", "4", "2", "5", "1", "2"):
            aliases["champion"] = versions[wanted]
            time.sleep(0.5)
        deadline = time.monotonic() + 30
        while service.endpoint.version != "2" and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        for thread in clients:
            thread.join()
        follower.close()
    assert wrong == []
    assert service.endpoint.version == "2"
    assert service.status.swaps >= 3
    assert service.status.swap_faults >= 1
    assert min(counts.values()) > 0


def test_an_unreadable_registry_does_not_end_the_service(versions, capsys):
    def find(_):
        raise OSError("the disk has gone")

    service, follower = following(versions, {})
    follower._find = find
    follower.start()
    deadline = time.monotonic() + 20
    while not service.status.last_fault and time.monotonic() < deadline:
        time.sleep(0.01)
    follower.close()
    assert service.status.last_fault == "version 1: OSError: the disk has gone"
    assert ask(service)[0] == 200
    follower._find = {"champion": versions["1"]}.get
    follower.look()
    assert service.status.last_fault == ""


# Stop, start and fallback


def test_stop_and_start(versions, tmp_path, capsys):
    switch = Switch(tmp_path, "line")
    service, follower = following(versions, {}, fallback="baseline", switch=switch)
    follower.look()
    assert "degraded" not in ask(service)[1]
    assert switch.stop()
    assert not switch.stop()
    follower.look()
    status, answer = ask(service)
    assert (status, answer["prediction"], answer["degraded"]) == (200, 0.25, True)
    assert ask(service, x="word")[0] == 422
    batch = json.loads(service.respond("/predict", b'[{"x": 1}, {"x": 2}]').body)
    assert [(a["prediction"], a["degraded"]) for a in batch] == [(0.25, True)] * 2
    spread = json.loads(service.respond("/predict", b'{"x": [1, 2, 3]}').body)
    assert (spread["prediction"], spread["degraded"]) == ([0.25] * 3, True)
    assert service.respond("/ready").status == 200
    assert service.status.stopped
    assert switch.start()
    follower.look()
    assert "degraded" not in ask(service)[1]
    assert service.status.degraded == 4  # one of them refused


def test_stopped_without_a_fallback(versions, tmp_path):
    service, _ = following(versions, {})
    service.hold(stopped=True)
    status, answer = ask(service)
    assert (status, answer["error"]["message"]) == (503, "the model is stopped")
    assert service.respond("/health").status == 200


class Broken(SumPlan):
    def row(self, cells):
        raise ZeroDivisionError

    batch = row


def broken_predictor(predictor=None):
    predictor = predictor or make()
    broken = Predictor(predictor.manifest, predictor.plans, predictor.ensemble, golden=predictor.golden)
    broken.path = None
    broken.plans = {"all": Broken()}
    broken._rows = [("all", Broken().row)]
    broken.verified = True
    return broken


def test_a_model_that_fails_falls_back(capsys):
    broken = broken_predictor()
    endpoint = Endpoint(broken, name="telco", version="1")
    body = json.dumps(RECORD).encode()
    assert Service(endpoint).respond("/predict", body).status == 500
    fallback = Endpoint(Degraded(broken, [0.25]), name="telco", version="1")
    service = Service(endpoint, fallback=fallback)
    answer = json.loads(service.respond("/predict", body).body)
    assert (answer["prediction"], answer["probability"], answer["degraded"]) == (
        "no",
        {"no": 0.75, "yes": 0.25},
        True,
    )
    assert (service.status.failures, service.status.degraded) == (1, 1)


@pytest.mark.parametrize(
    ("task", "fallback", "outputs"),
    [
        (TASK, 3, [3.0]),
        (TASK, "baseline", [0.25]),
        (Task(TaskKind.BINARY, "y", "roc_auc", ("no", "yes")), "yes", [1.0]),
        (Task(TaskKind.BINARY, "y", "roc_auc", (False, True)), False, [0.0]),
        (Task(TaskKind.MULTICLASS, "y", "log_loss", (1, 2, 3)), 2, [0.0, 1.0, 0.0]),
    ],
)
def test_what_a_fallback_stands_for(task, fallback, outputs):
    assert constant_outputs(task, fallback, {"predictions": {"value": {"mean": 0.25}}}) == outputs


@pytest.mark.parametrize(
    ("task", "fallback"), [(TASK, "many"), (TASK, True), (TASK, float("nan")), (TASK, "baseline")]
)
def test_what_no_fallback_can_be(task, fallback):
    with pytest.raises(UsageError):
        constant_outputs(task, fallback, {})


# Shadow and canary


class Logged:
    """A log that keeps what comes; see `PredictionLog.channel`."""

    written = dropped = waiting_bytes = 0
    error = None

    def __init__(self):
        self.rows = []

    def channel(self, model, version, sha256):
        rows = self.rows
        return SimpleNamespace(
            put=lambda when, took, record, answer: rows.append((version, json.loads(answer)))
        )

    def close(self):
        pass


def test_a_canary_keeps_one_entity_on_one_model(versions):
    log = Logged()
    aliases = {"champion": versions["1"], "challenger": versions["2"]}
    rollout = Rollout(0.3, entity="who")
    service, follower = following(versions, aliases, rollout=rollout, log=log)
    follower.look()
    taken = {}
    for i in range(400):
        who = i % 100
        answer = ask(service, x=i / 200, who=who)[1]
        taken.setdefault(who, set()).add(answer["version"])
    assert all(len(found) == 1 for found in taken.values())
    expected = {who for who in taken if is_canary(str(who).encode(), 0.3)}
    assert {who for who, found in taken.items() if found == {"2"}} == expected
    assert 15 < len(expected) < 45
    assert service.status.canary == 4 * len(expected)
    assert sorted(version for version, _ in log.rows).count("2") == 4 * len(expected)
    del aliases["challenger"]
    follower.look()
    assert {ask(service, who=who)[1]["version"] for who in range(100)} == {"1"}


def test_a_path_that_names_a_version_is_the_champions(versions):
    aliases = {"champion": versions["1"], "challenger": versions["2"]}
    service, follower = following(versions, aliases, rollout=Rollout(1.0, shadow=True))
    follower.look()
    body = json.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [0.5]}]}).encode()

    def inferred(path):
        response = service.respond(path, body)
        return response.status, json.loads(response.body).get("model_version")

    assert inferred("/v2/models/line/infer") == (200, "2")
    assert inferred("/v2/models/line/versions/1/infer") == (200, "1")
    assert inferred("/v2/models/line/versions/2/infer") == (404, None)
    assert (service.status.canary, service.status.shadow) == (1, 0)


def test_gauges_are_those_of_the_version_that_is_live(versions):
    aliases = {"champion": versions["1"], "challenger": versions["2"]}
    service, follower = following(versions, aliases, rollout=Rollout(0.5), fallback="baseline")

    def told():
        lines = service.respond("/metrics").body.decode().splitlines()
        return [line for line in lines if line.startswith("mlwright_model_info{")]

    follower.look()
    assert service.challenger is not None
    assert len(told()) == 1
    assert 'version="1"' in told()[0]
    aliases["champion"] = versions["2"]
    follower.look()
    assert len(told()) == 1
    assert 'version="2"' in told()[0]


def test_a_shadow_answers_unseen(versions):
    log = Logged()
    aliases = {"champion": versions["1"], "challenger": versions["2"]}
    service, follower = following(versions, aliases, rollout=Rollout(shadow=True), log=log)
    follower.look()
    seen = [ask(service, x=i / 50)[1] for i in range(100)]
    service.close()
    assert {answer["version"] for answer in seen} == {"1"}
    copied = [answer for version, answer in log.rows if version == "2"]
    assert len(copied) + service.status.shadow_dropped == 100
    assert len(copied) == service.status.shadow > 0
    for answer, i in zip(copied, range(100), strict=False):
        assert answer["prediction"] == pytest.approx(-3 * i / 50, abs=0.2)


def test_a_challenger_that_fails_is_not_felt(versions, capsys):
    service, _ = following(versions, {}, rollout=Rollout(1.0))
    broken = broken_predictor(service.endpoint.predictor)
    service.challenge(Endpoint(broken, name="line", version="9"))
    status, answer = ask(service)
    assert (status, answer["version"], service.status.failures) == (200, "1", 1)
