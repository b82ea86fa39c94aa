"""mlwright.toml: what it may say, and what is said when it says something else."""

import pytest

from mlwright.core.errors import ProjectError, UsageError
from mlwright.lifecycle.project import KEYS, Project, load_project, slug
from mlwright.lifecycle.source import project_of
from mlwright.lifecycle.upkeep import init


def write(folder, text):
    (folder / "mlwright.toml").write_text(text)
    return folder


def test_a_whole_project_is_read(tmp_path):
    project = load_project(
        write(
            tmp_path,
            """
            name = "churn"
            [data]
            source = "data/churn.csv"
            ignore = ["note"]
            kinds = { zip = "categorical" }
            [task]
            target = "churned"
            budget = "2m"
            split = "time:day"
            [checks]
            accept = ["leak:duration"]
            [gate]
            margin = 0.01
            [serve]
            port = 9000
            """,
        )
    )
    assert project.name == "churn"
    assert project.source == str(tmp_path / "data/churn.csv")
    assert project.budget == 120.0
    assert project.data_kinds == {"zip": "categorical"}
    assert project.checks_accept == ("leak:duration",)
    assert project.gate_margin == 0.01
    assert Project.from_json(project.to_json(), project.folder) == project


def test_there_are_at_most_forty_keys_and_a_field_for_each():
    assert len(KEYS) <= 40
    for key in KEYS:
        assert hasattr(Project(), key.replace(".", "_"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[task]\ntarget = 'a'\nbugdet = '1m'", "did you mean 'task.budget'"),
        ("[taks]\ntarget = 'a'", "did you mean 'task'"),
        ("target = 'a'", "did you mean 'task.target'"),
        ("[task]\nmetric = 'auc'", "roc_auc"),
        ("[task]\nbudget = 'soon'", "60s, 5m or 1h"),
        ("[task]\nholdout = 1.5", "from 0.0 to 0.9"),
        ("[data]\nignore = 'note'", "a list of texts"),
        ("[data]\nkinds = { zip = 'number' }", "numeric"),
        ("[serve]\nport = true", "an integer"),
        ("name = 'Not A Name'", "lower-case"),
        ("name = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(tmp_path, text, message):
    with pytest.raises(UsageError) as raised:
        load_project(write(tmp_path, text))
    assert message in str(raised.value)
    assert raised.value.exit_code == 2


def test_a_folder_without_a_project_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="mlwright init"):
        project_of(tmp_path)
    with pytest.raises(ProjectError, match="no mlwright"):
        load_project(tmp_path)


def test_a_plain_file_is_a_project_of_its_name(tmp_path):
    assert project_of(tmp_path / "My Customers.2024.csv").name == "my-customers"
    assert project_of("postgresql://localhost/base").name == "database"
    assert slug("///") == "model"


def test_init_writes_a_project_that_can_be_read(tmp_path):
    path = init(tmp_path / "my shop", source='C:\\data\\"x".csv', target="sold")
    project = load_project(path)
    assert (project.name, project.data_source, project.task_target) == (
        "my-shop",
        'C:\\data\\"x".csv',
        "sold",
    )
    with pytest.raises(UsageError, match="already"):
        init(tmp_path / "my shop")


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ("postgresql://ann:s3cret@host/shop", "postgresql://ann@host/shop"),
        ("postgresql://ann@host/shop?password=s3cret", "postgresql://ann@host/shop"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("data/part-*.csv", "data/part-*.csv"),
    ],
)
def test_passwords_are_not_kept(source, kept):
    assert Project(data_source=source).to_json()["data.source"] == kept


def test_paths_are_read_from_the_projects_folder(tmp_path):
    def source(text):
        return Project(data_source=text, folder=tmp_path).source

    assert source("a.csv") == str(tmp_path / "a.csv")
    assert source("/b/a.csv") == "/b/a.csv"
    assert source("sqlite:///shop.db") == f"sqlite:///{tmp_path}/shop.db"
    assert source("sqlite:////b/shop.db") == "sqlite:////b/shop.db"
    assert source("postgresql://host/shop") == "postgresql://host/shop"
