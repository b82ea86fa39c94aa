"""The first screen's sentences, the nouns in them, and the datasheet: what is said follows from the figures."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mlwright.data.findings import Finding, Severity
from mlwright.data.schema import Column, Kind, Role, Schema
from mlwright.evaluate.datasheet import datasheet
from mlwright.evaluate.drivers import drivers
from mlwright.evaluate.effects import Curve, Effects
from mlwright.evaluate.nouns import rows_called
from mlwright.evaluate.summary import summary
from mlwright.evaluate.words import PLAIN
from mlwright.metrics.intervals import Interval


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("customer_id", "customers"),
        ("customerID", "customers"),
        ("PassengerId", "passengers"),
        ("company no", "companies"),
        ("row_id", "rows"),
        ("id", "rows"),
        ("uuid", "rows"),
        ("patient", "rows"),
        ("covid", "rows"),
        ("k2_id", "rows"),
        ("<b>x</b>_id", "rows"),
    ],
)
def test_rows_are_called_by_the_column_that_names_them(name, called):
    assert rows_called(Schema((Column(name, Kind.ID, Role.IGNORED), Column("age", Kind.NUMERIC)))) == called


def test_two_names_or_a_feature_name_nothing():
    two = (Column("customer_id", Kind.ID, Role.IGNORED), Column("order_id", Kind.ID, Role.IGNORED))
    assert rows_called(Schema(two)) == "rows"
    assert rows_called(Schema((Column("customer_id", Kind.CATEGORICAL),))) == "rows"


def test_the_rows_have_their_name_in_every_sentence(context):
    named = Schema(
        (
            *context.schema.columns[:2],
            Column("customer_id", Kind.ID, Role.IGNORED),
            *context.schema.columns[3:],
        )
    )
    said = summary(replace(context, schema=named))
    assert "rows" not in said.lead
    if context.evaluation.residuals is None:
        assert "Of 100 customers" in said.lead


def test_what_stops_is_settled_first(context):
    found = summary(context)
    assert found.steps[0].text.startswith("Settle first what the checks say of tenure")
    calm = summary(replace(context, findings=()))
    assert calm.steps[0].command == "mlwright predict demo new.csv -o predictions.csv"
    level = Interval(0.0, -0.1, 0.1, 0.95)
    evaluation = context.evaluation
    lost = {"dummy": replace(evaluation.baselines["dummy"], difference=level)}
    first = summary(replace(context, findings=(), evaluation=replace(evaluation, baselines=lost))).steps[0]
    assert first.text.startswith("Do not rely on it yet.")
    none = summary(replace(context, findings=(), evaluation=replace(evaluation, basis="cross-validation")))
    assert "Keep some rows aside" in none.steps[0].text


def test_a_model_that_is_the_linear_one_is_said_to_be(context):
    same = Interval(0.0, 0.0, 0.0, 0.95)
    evaluation = context.evaluation
    lines = {"linear": replace(evaluation.baselines["linear"], difference=same)}
    found = summary(replace(context, evaluation=replace(evaluation, baselines=lines)))
    [(verdict, text)] = found.against
    assert not any("simple linear model" in caution for _, caution in found.cautions)
    assert verdict == "level"
    assert text.startswith("As good as the simple linear model")


def _curve(points, means, column="tenure"):
    zero = tuple(0.0 for _ in points)
    return Curve(column, points, (means,), zero, zero, zero)


@pytest.mark.parametrize(
    ("points", "means", "said"),
    [
        ((1.0, 2.0, 9.0), (0.1, 0.3, 0.6), "The higher tenure, the higher the chance of Churn = Yes: 10 of 100 at 1, 60 of 100 at 9."),
        ((1.0, 2.0, 9.0), (0.6, 0.3, 0.1), "The higher tenure, the lower the chance of Churn = Yes: 60 of 100 at 1, 10 of 100 at 9."),
        ((1.0, 2.0, 9.0), (0.6, 0.62, 0.1), "The higher tenure, the lower the chance of Churn = Yes: 60 of 100 at 1, 10 of 100 at 9."),
        ((1.0, 2.0, 9.0), (0.1, 0.6, 0.2), "tenure: the chance of Churn = Yes is highest near 2 (60 of 100) and lowest near 1 (10 of 100)."),
        (("a", "b"), (0.1, 0.6), "tenure: the chance of Churn = Yes is highest for b (60 of 100) and lowest for a (10 of 100)."),
    ],
)  # fmt: skip
def test_a_curve_is_told_by_its_way(binary_context, points, means, said):
    part = Effects(("Yes",), 64, (_curve(points, means),), ())
    assert drivers(replace(binary_context, parts=(part,)), PLAIN) == [said]


def test_a_flat_curve_is_not_told(binary_context):
    part = Effects(("Yes",), 64, (_curve((1.0, 2.0), (0.3, 0.31)),), ())
    assert drivers(replace(binary_context, parts=(part,)), PLAIN) == []
    assert drivers(binary_context, PLAIN) == []


def test_a_datasheet_has_the_seven_sections(context):
    text = datasheet(replace(context, lineage={"data": "abc", "project": {"data.source": "x.csv"}}))
    assert re.findall(r"^## (.*)$", text, flags=re.MULTILINE) == [
        "Motivation",
        "Composition",
        "Collection process",
        "Preprocessing, cleaning and labelling",
        "Uses",
        "Distribution",
        "Maintenance",
    ]
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        assert "For a person to fill in:" in section
    assert "- 3,000 rows, and 4 columns: 2 categorical, 1 id, 1 numeric." in text
    assert "Read from `x.csv`." in text
    assert "tenure alone tells the answer." in text
    assert "2,400 rows were learned from and 600 kept aside" in text
    assert "No column is marked as personal" in text


def test_a_datasheet_names_personal_columns_and_no_markup(hostile):
    text = datasheet(hostile)
    assert "<script" not in re.sub(r"(`+)[^`].*?[^`]?\1", "", text).replace("\\<script", "")
    mail = Column("mail", Kind.TEXT, Role.IGNORED, pii=True)
    told = datasheet(replace(hostile, schema=Schema((*hostile.schema.columns, mail)), findings=()))
    assert "Columns with personal data, whose values are shown nowhere: mail." in told
    warned = replace(
        hostile, findings=(Finding("pii", Severity.WARN, ("mail",), "mail is personal.", "Look."),)
    )
    assert "- mail is personal." in datasheet(warned)
