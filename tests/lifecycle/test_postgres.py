"""The whole way on a real PostgreSQL server: the table comes from it, and the runs and models are kept in it."""

import json
import os
import subprocess
import sys

import psycopg2
import pyarrow as pa
import pytest

import mlwright
from customers import rows
from databases import empty_database


@pytest.fixture
def base(postgres_url):
    return empty_database(postgres_url)


def fill(url, made):
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "create table customers (customer_id text, tenure integer, contract text, charges double precision,"
            " paperless boolean, signed date, churned boolean)"
        )
        for row in made:
            cursor.execute(
                "insert into customers values (%s, %s, %s, %s, %s, %s, %s)",
                [
                    row["customer_id"],
                    row["tenure"],
                    row["contract"],
                    None if row["charges"] == "" else row["charges"],
                    row["paperless"] == "yes",
                    row["signed"],
                    row["churned"] == "Yes",
                ],
            )
    connection.close()


def command(*arguments, folder, url):
    done = subprocess.run(
        [sys.executable, "-m", "mlwright", *map(str, arguments), "--json"],
        cwd=folder,
        env={**os.environ, "MLFLOW_TRACKING_URI": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_table_in_postgres_becomes_a_model_that_postgres_registers(base, tmp_path):
    made = rows(400)
    fill(base, made)
    told = command(
        "run", base, "--query", "select * from customers order by customer_id", "--target", "churned",
        "--name", "churn", "--budget", "60s", "--trials", "4", folder=tmp_path, url=base,
    )  # fmt: skip
    assert told["task"]["labels"] == [False, True]
    assert told["alias"] == "champion"
    connection = psycopg2.connect(base)
    with connection, connection.cursor() as cursor:
        cursor.execute("select name, version from registered_model_aliases where alias = 'champion'")
        assert cursor.fetchall() == [("churn", 1)]
        cursor.execute("select count(*) from metrics where key = 'test_roc_auc'")
        assert cursor.fetchone() == (1,)
    connection.close()
    assert not (tmp_path / ".mlwright" / "mlflow.db").exists()
    (model,) = command("models", folder=tmp_path, url=base)
    assert model["name"] == "churn"
    done = command(
        "predict", "churn", base, "--query", "customers", "-o", "out.parquet", folder=tmp_path, url=base
    )
    assert done["rows"] == 400
    out = mlwright.read(tmp_path / "out.parquet")
    asked = pa.table(
        {name: out.column(name) for name in ("tenure", "contract", "charges", "paperless", "signed")}
    )
    again = mlwright.load(told["bundle"]).predict(asked)
    assert out.column("probability_true").to_pylist() == pytest.approx(
        again.column("probability_true").to_pylist()
    )
    assert command("reproduce", told["run_id"], folder=tmp_path, url=base)["equal"] is True
