"""A project's named groups and the slices of its model, from the command line to the report."""

import csv
import json
import random
from pathlib import Path

import pytest
from commands import command


@pytest.fixture(scope="module")
def staff(tmp_path_factory):
    """A table in which women are promoted for more, and the column of the sexes is no feature."""
    folder = tmp_path_factory.mktemp("staff")
    draw = random.Random(0)
    with (folder / "staff.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sex", "grade", "years", "team", "promoted"])
        rows.writerow(["f", 3, 4, "a", ""])  # nobody knows
        for _ in range(1200):
            sex, grade, years = draw.choice("fm"), draw.randrange(2, 9), draw.randrange(12)
            score = 0.9 * grade + 0.3 * years + draw.gauss(0, 1) - 2.5 * (sex == "f")
            rows.writerow([sex, grade, years, draw.choice("abcd"), "yes" if score > 5 else "no"])
    return folder


def run(staff, *more, check=True):
    budget = ("--budget", "20s", "--trials", "3", "--holdout", "0.4", "--json")
    return command("run", "staff.csv", "--target", "promoted", *budget, *more, folder=staff, check=check)


def test_groups_are_compared_though_the_column_is_ignored(staff):
    made = json.loads(run(staff, "--ignore", "sex", "--ban", "sex", "--fairness", "sex").stdout)
    sexes = made["parts"]["fairness"]["sex"]
    assert {group["where"] for group in sexes["groups"]} == {"sex = f", "sex = m"}
    assert sum(group["n_rows"] for group in sexes["groups"]) == made["split"]["n_test"]
    assert sexes["verdict"] == "flagged"  # its probabilities are too high for women and too low for men
    assert "calibration" in {x["criterion"] for x in sexes["comparisons"] if x["verdict"] == "flagged"}
    assert made["parts"]["slices"]["n_tried"] > 50
    labels = made["parts"]["label_noise"]
    assert labels["n_rows"] == made["split"]["n_train"]
    with (staff / "staff.csv").open() as file:
        told = [row["promoted"] for row in csv.DictReader(file)]
    assert labels["suspects"]
    assert all(
        told[each["row"] - 1] == each["given"] for each in labels["suspects"]
    )  # the rows of the source
    page = Path(made["report"]).read_text()
    assert "sex: flagged" in page
    again = command("reproduce", made["run_id"], "--json", folder=staff)
    assert json.loads(again.stdout)["equal"]


@pytest.mark.parametrize("name", ["gender", "promoted"])
def test_a_column_that_cannot_be_a_group_is_named(staff, name):
    done = run(staff, "--fairness", name, check=False)
    assert done.returncode == 2
    assert name in json.loads(done.stdout)["error"]["message"]
