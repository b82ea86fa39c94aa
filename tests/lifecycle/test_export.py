"""What is exported serves: in an environment with nothing else, and by the schemas that Kubernetes publishes."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

import mlwright
from mlwright.cli import main
from mlwright.lifecycle.export import export, pack_wheel
from mlwright.serving.predictor import Predictor
from mlwright.tracking.opening import prepare_database
from mlwright.tracking.store import open_store
from mlwright.tracking.tracker import Tracker

FORMATS = Path(__file__).parent.parent / "bundle" / "formats"
LEARNERS = FORMATS / "1-learners"  # LightGBM, CatBoost and six of our own
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store whose registered model ``churn`` is version 1."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLWRIGHT_STORE", "MLWRIGHT_TOKEN"):
            patch.delenv(name, raising=False)
        store = open_store(tmp_path_factory.mktemp("registered"), create=True)
        prepare_database(store)
        tracker = Tracker(store)
        run_id = tracker.start_run("churn", name="r1")
        tracker.register(run_id, "churn", LEARNERS)
        tracker.finish(run_id)
        tracker.promote("churn", 1)
        yield store.root


@pytest.fixture(scope="module")
def docker(store, tmp_path_factory):
    """A folder that ``export docker`` wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("exported") / "docker"
    return folder, export("docker", "churn", folder, store=store)


def test_docker_holds_all_that_its_dockerfile_copies(docker):
    folder, done = docker
    lines = (folder / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert [name for name in copied if not (folder / name).exists()] == []
    assert {*copied, "Dockerfile", "compose.yaml"} == {path.name for path in folder.iterdir()}
    assert {path.name for path in done.files} == {path.name for path in folder.iterdir()}
    assert Predictor.load(folder / "bundle").sha256 == done.sha256 == Predictor.load(LEARNERS).sha256
    assert f"FROM python:{sys.version_info.major}.{sys.version_info.minor}-slim" in lines
    assert any("libgomp1" in line for line in lines if line.startswith("RUN"))
    assert "USER 10001:10001" in lines
    assert all(path.stat().st_mode & 0o004 for path in folder.rglob("*"))  # the image's user may read


def test_compose_demands_a_token_and_gives_no_right_away(docker):
    folder, done = docker
    ((name, service),) = yaml.safe_load((folder / "compose.yaml").read_text())["services"].items()
    assert (name, service["image"], done.image) == ("churn", "mlwright-churn:1", "mlwright-churn:1")
    assert service["environment"]["MLWRIGHT_TOKEN"].startswith("${MLWRIGHT_TOKEN:?")
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert (service["read_only"], service["cap_drop"], service["user"]) == (True, ["ALL"], "10001:10001")


def test_a_bundle_without_lightgbm_needs_no_library_of_it(tmp_path):
    export("docker", FORMATS / "1-k-means", tmp_path / "out")
    assert "lightgbm" not in (tmp_path / "out" / "serve-requirements.txt").read_text()
    assert "libgomp" not in (tmp_path / "out" / "Dockerfile").read_text()
    assert '"1-k-means/0"' in (tmp_path / "out" / "Dockerfile").read_text()


def test_the_wheel_is_whole_and_the_same_each_time(tmp_path):
    name, content = pack_wheel()
    assert pack_wheel() == (name, content)
    (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / name) as archive:
        names = set(archive.namelist())
        entries = configparser.ConfigParser()
        (points,) = [each for each in names if each.endswith("entry_points.txt")]
        entries.read_string(archive.read(points).decode())
    source = Path(mlwright.__file__).parent
    wanted = {
        f"mlwright/{p.relative_to(source)}"
        for s in ("*.py", "*.css", "*.html", "*.js")
        for p in source.rglob(s)
    }
    assert wanted <= names
    assert not [each for each in names if each.endswith(".pyc")]
    assert entries["console_scripts"]["mlwright"] == "mlwright.cli:main"


def test_manifests_are_valid_by_the_schemas_of_kubernetes(store, tmp_path):
    folder = tmp_path / "k8s"
    image = "registry.example.org/team/churn:1"
    done = export("k8s", "churn/1", folder, image=image, store=store)
    assert [path.name for path in done.files] == ["deployment.yaml", "inferenceservice.yaml"]
    documents = list(yaml.safe_load_all((folder / "deployment.yaml").read_text()))
    assert [each["kind"] for each in documents] == ["Deployment", "Service", "HorizontalPodAutoscaler"]
    for document in documents:
        for version in ("1.29", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(document, version, strict=True)
    broken = documents[0] | {"spec": documents[0]["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, kubernetes_validate.latest_version(), strict=True)
    deployment, service, scaler = documents
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"] == labels
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]

    kserve = yaml.safe_load((folder / "inferenceservice.yaml").read_text())
    assert (kserve["apiVersion"], kserve["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    predictor = kserve["spec"]["predictor"]
    assert predictor["containers"][0]["name"] == "kserve-container"  # the name that KServe looks for
    assert len(predictor["containers"][0]["ports"]) == 1  # Knative allows one
    pod = deployment["spec"]["template"]["spec"]
    for container in (pod["containers"][0], predictor["containers"][0]):
        assert container["image"] == image
        assert container["livenessProbe"]["httpGet"] == {"path": "/v2/health/live", "port": 8000}
        assert container["readinessProbe"]["httpGet"] == {"path": "/v2/health/ready", "port": 8000}
        assert container["ports"][0]["containerPort"] == 8000
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}
        secret = container["env"][0]["valueFrom"]["secretKeyRef"]
        assert (container["env"][0]["name"], secret) == (
            "MLWRIGHT_TOKEN",
            {"name": "churn-token", "key": "token"},
        )
        context = container["securityContext"]
        assert context["runAsNonRoot"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert (context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]) == (True, False)
        # KServe's container is put into a pod of the same schema.
        spec = {"containers": [container], "volumes": pod["volumes"]}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "churn"}, "spec": spec}
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_nothing_is_overwritten_unless_forced(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(LEARNERS, "2nd Model")
    assert main(["export", "k8s", "./2nd Model", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["version"], told["folder"]) == ("2nd-model", "0", "model-2nd-model-k8s")
    file = Path(told["files"][0])
    assert yaml.safe_load_all(file.read_text()).__next__()["metadata"]["name"] == "model-2nd-model"
    file.write_text("mine")
    Path(told["files"][1]).unlink()
    assert main(["export", "k8s", "./2nd Model"]) == 2
    assert "--force" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert not Path(told["files"][1]).exists()
    assert main(["export", "k8s", "./2nd Model", "--force"]) == 0
    assert "kind: Deployment" in file.read_text()
    capsys.readouterr()
    Path("out/bundle").mkdir(parents=True)
    Path("out/bundle/mine").write_text("mine")
    assert main(["export", "docker", "./2nd Model", "-o", "out", "--force"]) == 2
    assert "no bundle" in capsys.readouterr().err
    assert [path.name for path in Path("out").rglob("*") if path.is_file()] == ["mine"]


def test_what_cannot_be_exported_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(LEARNERS, "torn")
    (tmp_path / "torn" / "plan.json").write_bytes(b"{}")
    assert main(["export", "docker", "./torn"]) == 1
    assert "plan.json" in capsys.readouterr().err
    assert main(["export", "podman", str(LEARNERS)]) == 2
    assert "docker, k8s" in capsys.readouterr().err
    assert main(["export", "k8s", str(LEARNERS), "--image", 'a"\nb']) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["torn"]
    assert main(["serve", str(LEARNERS), "--as", "a/b/c"]) == 2


def ask(address, path, body=None, **headers):
    """Return the status and the JSON of an answer."""
    call = urllib.request.Request(
        address + path, body, {name.replace("_", "-"): v for name, v in headers.items()}
    )
    try:
        with urllib.request.urlopen(call, timeout=20) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.enable_socket
def test_an_environment_with_nothing_else_serves(docker, tmp_path):
    folder, _ = docker
    environment = tmp_path / "slim"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True, timeout=120)
    python = environment / "bin" / "python"
    (run,) = re.findall(r"^RUN pip (install .*?) && rm", (folder / "Dockerfile").read_text(), re.MULTILINE)
    words = [word for word in shlex.split(run) if word != "--no-cache-dir"]
    done = subprocess.run(
        [python, "-m", "pip", *words], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    if done.returncode and "No matching distribution found" in done.stderr:
        pytest.skip(f"no package index is reached, so no fresh environment can be made: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    listed = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, check=True)
    present = {package["name"] for package in json.loads(listed.stdout)} - {"pip", "setuptools"}
    assert present == {"httptools", "lightgbm", "mlwright", "msgspec", "numpy", "uvloop"}

    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", (folder / "Dockerfile").read_text(), re.MULTILINE)
    program, *words = json.loads(entry)
    words[words.index("--port") + 1] = "0"
    words[words.index("--host") + 1] = "127.0.0.1"
    clean = {"PATH": os.environ["PATH"], "MLWRIGHT_TOKEN": TOKEN}
    process = subprocess.Popen(
        [environment / "bin" / program, *words, "--auth", "--json"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        told = json.loads(line or process.stderr.read())
        assert (told["model"], told["version"]) == ("churn", "1")
        address, bearer = told["address"], {"authorization": f"Bearer {TOKEN}"}
        golden = Predictor.load(LEARNERS).golden[0]
        record = json.dumps(golden["record"]).encode()
        assert ask(address, "/v2/health/live")[0] == ask(address, "/v2/health/ready")[0] == 200
        assert ask(address, "/predict", record)[0] == 401
        status, answer = ask(address, "/predict", record, **bearer)
        assert status == 200
        wanted = Predictor.load(LEARNERS).predict_one(golden["record"])
        assert answer["prediction"] == wanted["prediction"]
        assert answer["probability"] == pytest.approx(wanted["probability"], abs=1e-12)
        columns = json.dumps({name: [value] for name, value in golden["record"].items()}).encode()
        arrow = "application/vnd.apache.arrow.stream"
        status, answer = ask(address, "/predict", columns, accept=arrow, **bearer)
        assert (status, answer["prediction"]) == (200, [wanted["prediction"]])
        status, answer = ask(address, "/predict", b"\xff\xff\xff\xff", content_type=arrow, **bearer)
        assert (status, "pyarrow" in answer["error"]["message"]) == (415, True)
        assert ask(address, "/v2/models/churn/versions/1", **bearer)[0] == 200
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in errors
