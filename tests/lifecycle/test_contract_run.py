"""The contract from its file through a run into the bundle, and back out at a batch prediction."""

import json

import pytest
from commands import command

import mlwright
from customers import write
from mlwright.core.errors import ProjectError, RefusedError, UsageError
from mlwright.data.contract_file import read_contract
from mlwright.lifecycle.contract import contract
from mlwright.lifecycle.project import Project
from mlwright.lifecycle.understand import contract_of


def test_a_contract_is_written_from_a_table_a_model_and_a_file(made, tmp_path, monkeypatch):
    store = made.folder / ".mlwright"
    monkeypatch.chdir(tmp_path)
    from_table = contract(made.source, target="churned", output=tmp_path / "a.toml")
    from_model = contract("churn", store=store)
    assert from_model.path.resolve() == tmp_path / "contract.toml"
    assert from_model.contract == from_table.contract == read_contract(tmp_path / "a.toml")
    assert (from_model.name, from_model.n_rows) == ("churn", 600)
    assert contract("churn/1", store=store, output="b.toml").contract == from_model.contract
    schema = contract(tmp_path / "a.toml", form="json-schema")
    tree = json.loads((tmp_path / "contract.schema.json").read_text())
    assert tree["properties"]["tenure"]["type"] == ["number"]
    assert "churned" not in tree["required"]
    assert schema.n_rows == 0
    with pytest.raises(UsageError, match="there already"):
        contract("churn", store=store)
    with pytest.raises(UsageError, match="unknown format"):
        contract("churn", store=store, form="yaml")
    contract("churn", store=store, force=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A project with a contract, run once."""
    folder = tmp_path_factory.mktemp("project")
    write(folder / "customers.csv", n=300)
    (folder / "mlwright.toml").write_text(
        'name = "shop"\n[data]\nsource = "customers.csv"\n[task]\ntarget = "churned"\nbudget = "20s"\ntrials = 2\n'
    )
    done = command("contract", "--json", folder=folder)
    assert json.loads(done.stdout)["path"] == str(folder / "contract.toml")
    command("run", "--json", folder=folder)
    return folder


def test_a_run_holds_its_table_against_the_contract_beside_the_project(folder, tmp_path):
    (tmp_path / "mlwright.toml").write_text((folder / "mlwright.toml").read_text())
    (tmp_path / "contract.toml").write_text((folder / "contract.toml").read_text())
    write(tmp_path / "customers.csv", n=300, tenure=lambda row: row["tenure"] * 12)  # months are days now
    done = command("run", "--json", folder=tmp_path, check=False)
    assert done.returncode == 3
    told = json.loads(done.stdout)
    codes = {f["code"] for f in told["findings"] if f["severity"] == "stop"}
    assert codes == {"contract:tenure"}
    assert "'tenure' breaks the contract" in done.stderr
    assert "values outside 0 to " in done.stderr


def test_it_travels_in_the_bundle_and_answers_and_reproduces(folder):
    model = mlwright.load("shop", store=folder / ".mlwright")
    kept = read_contract(folder / "contract.toml")
    assert set(model.contract.columns) == set(kept.columns)
    assert (model.contract.tolerance, model.contract.min_rows) == (kept.tolerance, kept.min_rows)
    record = model.golden[0]["record"]
    warnings = model.predict_one(record | {"tenure": 90})["warnings"]
    assert [w["field"] for w in warnings] == ["tenure"]
    assert warnings[0]["warning"].startswith("breaks the contract: outside 0 to ")
    (folder / "contract.toml").rename(folder / "kept.toml")  # what was recorded counts
    try:
        assert mlwright.reproduce("shop/1", store=folder / ".mlwright").equal
    finally:
        (folder / "kept.toml").rename(folder / "contract.toml")


def test_a_batch_is_counted_and_warned_of_or_refused(folder, tmp_path):
    store = folder / ".mlwright"
    rows = write(tmp_path / "new.csv", n=250, seed=4)
    good = mlwright.predict("shop", rows, tmp_path / "out.csv", store=store)
    assert good.breaches == ()
    odd = write(tmp_path / "odd.csv", n=250, seed=4, contract=lambda row: "weekly")
    done = command("predict", "shop", odd, "-o", tmp_path / "odd_out.csv", "--store", store, folder=tmp_path)
    assert (
        "warning: 'contract' breaks the contract: 250 of 250 values in categories that are not listed."
        in done.stdout
    )
    refusing = folder / "refuse.toml"
    text = (folder / "contract.toml").read_text()
    refusing.write_text(text.replace('on_violation = "warn"', 'on_violation = "refuse"'))
    model = mlwright.load("shop", store=store)
    model.contract = read_contract(refusing)
    from mlwright.lifecycle import predict as module

    found = module._tally(model)
    import pyarrow.csv

    found.add(pyarrow.csv.read_csv(odd))
    with pytest.raises(RefusedError, match="contract: 'contract' breaks the contract"):
        module._refuse(found.breaches())


def test_which_contract_a_project_has(tmp_path):
    assert contract_of(Project()) is None
    (tmp_path / "contract.toml").write_text("[columns.a]\nkind = 'text'\n")
    assert contract_of(Project(folder=tmp_path)) is None  # no project file: not beside one
    (tmp_path / "mlwright.toml").write_text("")
    assert contract_of(Project(folder=tmp_path)).columns[0].name == "a"
    with pytest.raises(ProjectError, match="no such contract"):
        contract_of(Project(folder=tmp_path, data_contract="other.toml"))
