"""A small table of customers whose leaving depends on how long they have been there, what they pay and their contract."""

import csv
from pathlib import Path

import numpy as np

CONTRACTS = ("monthly", "one year", "two years")


def rows(n=600, seed=0):
    """Return `n` customers as dicts of plain values."""
    draw = np.random.default_rng(seed)
    made = []
    for number in range(n):
        tenure = int(draw.integers(0, 72))
        contract = CONTRACTS[int(draw.integers(0, 3))]
        charges = round(float(draw.gamma(4.0, 15.0)), 2)
        risk = (
            1.5
            - 0.08 * tenure
            + 0.02 * charges
            - {"monthly": -1.0, "one year": 0.5, "two years": 1.5}[contract]
        )
        made.append(
            {
                "customer_id": f"C{seed:02d}{number:06d}",
                "tenure": tenure,
                "contract": contract,
                "charges": charges if draw.random() > 0.03 else "",
                "paperless": "yes" if draw.random() > 0.5 else "no",
                "signed": f"20{int(draw.integers(10, 24))}-{int(draw.integers(1, 13)):02d}-{int(draw.integers(1, 29)):02d}",
                "churned": "Yes" if draw.logistic() + risk > 0 else "No",
            }
        )
    return made


def write(path, n=600, seed=0, **changes):
    """Write `n` customers to a CSV file; `changes` maps a column to a function of the row."""
    made = rows(n, seed)
    for row in made:
        for name, change in changes.items():
            row[name] = change(row)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(made[0]))
        writer.writeheader()
        writer.writerows(made)
    return Path(path)
