"""What people see: in a terminal of 80 columns, in a pipe, in a terminal that knows ASCII only, and after Ctrl+C."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from customers import rows, write
from mlwright.cli import main
from mlwright.cli.grammar import parser
from mlwright.cli.paint import Paint

RUN = ("run", "customers.csv", "--target", "churned", "--name", "churn", "--budget", "30s", "--trials", "5")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

# In the background of a script it is ignored, which every child would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Shown:
    """What a process wrote to its terminal, and how it ended."""

    raw: str
    code: int

    @property
    def lines(self):
        """The lines that stay, without colours."""
        written = ESCAPE.sub("", re.split(r"\x1b\[2?K", self.raw)[-1])
        return [line.rstrip() for line in written.replace("\r\n", "\n").split("\n")]


def environment(**changes):
    kept = {
        k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "MLWRIGHT_STORE", "COLUMNS", "LINES")
    }
    return kept | {"TERM": "xterm-256color"} | changes


def in_terminal(*arguments, folder, interrupt_at=None, columns=80, **changes):
    """Run mlwright in a terminal; press Ctrl+C once `interrupt_at` has been written."""
    master, slave = pty.openpty()
    import fcntl
    import struct
    import termios

    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "mlwright", *map(str, arguments)],
        cwd=folder,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(**changes),
        start_new_session=True,
    )
    os.close(slave)
    written = b""
    while True:
        if not select.select([master], [], [], 120)[0]:
            process.kill()
            raise AssertionError(f"the process hangs: {written!r}")
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the terminal has been closed by its last process
            break
        if not chunk:
            break
        written += chunk
        if interrupt_at is not None and re.search(interrupt_at, written.decode(errors="replace")):
            interrupt_at = None
            process.send_signal(signal.SIGINT)
    os.close(master)
    return Shown(written.decode(), process.wait(60))


def piped(*arguments, folder, **changes):
    return subprocess.run(
        [sys.executable, "-m", "mlwright", *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=environment(**changes),
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model, and what training it showed in a terminal of 80 columns."""
    folder = tmp_path_factory.mktemp("shown")
    write(folder / "customers.csv", n=400)
    return folder, in_terminal(*RUN, folder=folder)


@pytest.fixture
def copied(trained, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(trained[0], folder)
    return folder


def test_a_terminal_shows_progress_while_it_runs(trained):
    _, shown = trained
    assert shown.code == 0, shown.raw
    written = ESCAPE.sub("", shown.raw)
    assert re.search(r"searching +\S+ +\d+ s left  \d+ trials?, best roc_auc 0\.\d+", written)
    assert shown.raw.count("\x1b[?25l") == shown.raw.count("\x1b[?25h") > 0


def test_the_summary_fits_eighty_columns_and_ends_with_the_next_commands(trained):
    folder, shown = trained
    lines = [line for line in shown.lines if line]
    assert lines[-3:] == [
        "next",
        "  mlwright serve churn",
        "  mlwright predict churn NEW.csv -o predictions.csv",
    ]
    label, path = lines[-4].split()
    assert label == "report"
    assert (folder / path).is_file()
    assert max(map(len, (line for line in lines if path not in line))) <= 80
    text = "\n".join(lines)
    assert re.search(r"^found    note: 1 column taken as an identifier", text, re.MULTILINE)
    assert re.search(r"^split    Stratified split", text, re.MULTILINE)
    assert "320 rows to train, 80 kept for the test." in " ".join(text.split())
    careful = re.search(r"^careful ((?:.|\n {9})*)", text, re.MULTILINE)[1]
    assert "Measured on 80 rows only: read the ranges" in " ".join(careful.split())
    assert "taken as an identifier" not in careful  # that stands among what was found
    scores = re.findall(
        r"^  (churn|linear model|always the same answer) +(0\.\d{4})  0\.\d{4} to [01]\.\d{4}$",
        text,
        re.MULTILINE,
    )
    assert [name for name, _ in scores] == ["churn", "linear model", "always the same answer"]
    assert float(scores[-1][1]) == 0.5


def test_colours_are_few_and_none_where_they_are_not_wanted(copied):
    code = "from mlwright.cli.main import main; import sys; sys.exit(main(['report', 'nope']))"

    def written(**changes):
        master, slave = pty.openpty()
        subprocess.run(
            [sys.executable, "-c", code], cwd=copied, stderr=slave, env=environment(**changes), check=False
        )
        os.close(slave)
        told = os.read(master, 65536).decode()
        os.close(master)
        return told

    assert COLOUR.search(written())
    plain = written(NO_COLOR="1")
    assert not ESCAPE.search(plain)
    assert "mlwright: unknown model: got 'nope'; allowed: churn" in plain
    assert not ESCAPE.search(written(TERM="dumb"))


def test_a_pipe_gets_plain_whole_lines(copied):
    done = piped(*RUN, folder=copied, COLUMNS="40", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    for text in (done.stdout, done.stderr):
        assert not ESCAPE.search(text)
        assert not [line for line in text.splitlines() if line != line.rstrip()]
    steps = re.findall(r"^ +\d+ s  (\w+)$", done.stderr, re.MULTILINE)
    assert steps == ["reading", "checking", "searching", "evaluating", "packaging", "proving", "registering"]
    assert re.search(r"^ +\d+ s    note: 1 column taken as an identifier", done.stderr, re.MULTILINE)
    assert re.search(r"^ +\d+ s    trial 0: dummy .*roc_auc .*best so far 0\.\d+$", done.stderr, re.MULTILINE)
    (path,) = re.findall(r"^report   (.*)$", done.stdout, re.MULTILINE)
    assert (copied / path).is_file()
    # A later version of a name waits: the next step is to compare it.
    assert done.stdout.endswith(
        "next\n  mlwright promote churn\n  mlwright predict churn@challenger NEW.csv -o predictions.csv\n"
    )


def test_a_terminal_of_ascii_shows_what_it_can(tmp_path):
    write(tmp_path / "kunden.csv", n=150, paperless=lambda row: "schön" if row["tenure"] % 2 else "né ☃")
    table = (tmp_path / "kunden.csv").read_text(encoding="utf-8").replace("paperless", "größe")
    (tmp_path / "kunden.csv").write_text(table, encoding="utf-8")
    changes = {
        "LC_ALL": "C",
        "LANG": "C",
        "PYTHONIOENCODING": "ascii",
    }
    call = ("run", "kunden.csv", "--target", "churned", "--budget", "3s")
    shown = in_terminal(*call, "--ban", "größe", folder=tmp_path, **changes)
    assert shown.code == 3
    assert "gr\\xf6\\xdfe" in shown.raw
    assert "Traceback" not in shown.raw
    told = json.loads(piped(*call, "--ban", "größe", "--json", folder=tmp_path, **changes).stdout)
    assert told["findings"][0]["columns"] == ["größe"]


def test_what_data_hold_cannot_steer_the_terminal(tmp_path):
    lines = "".join(f"{i % 10},{'Yes' if i % 3 else 'No'}\n" for i in range(60))
    (tmp_path / "d.csv").write_text(f"a\x1b[2J,churned\n{lines}")
    done = piped("run", "d.csv", "--target", "nope", folder=tmp_path)
    assert done.returncode == 2
    assert "\\x1b[2J" in done.stderr
    assert "\x1b" not in done.stderr


def test_ctrl_c_in_a_terminal_leaves_one_message_and_the_cursor(tmp_path):
    write(tmp_path / "customers.csv", n=400)
    shown = in_terminal(*RUN, folder=tmp_path, interrupt_at=r"\d trial")
    assert shown.code == 130
    # On a slow machine the process is ended by force, and says it in one line.
    told = " ".join(" ".join(shown.lines).split()).replace(". Next:", " next:")
    assert told == "mlwright: interrupted next: the same command goes on from the finished trials"
    assert shown.raw.rindex("\x1b[?25h") > shown.raw.rindex("\x1b[?25l")


def test_after_ctrl_c_the_same_command_goes_on(tmp_path):
    write(tmp_path / "customers.csv", n=400)
    process = subprocess.Popen(
        [sys.executable, "-m", "mlwright", *RUN],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    while "trial 1" not in (line := process.stderr.readline()):
        assert line, "the run ended before its second trial"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert err.count("mlwright: ") == 1
    assert err.endswith("mlwright: interrupted. Next: the same command goes on from the finished trials\n")
    (journal,) = (tmp_path / ".mlwright" / "journal").glob("*.jsonl")
    finished = sum(b'"fold_scores"' in line for line in journal.read_bytes().splitlines())
    assert finished >= 2
    assert not list((tmp_path / ".mlwright" / "artifacts").glob("*/*"))
    again = piped(*RUN, folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"going on from {finished} finished trials" in again.stderr


def test_ctrl_c_ends_even_what_swallows_it():
    """A library may catch the exception, and a thread may never end: the process ends all the same, with the line."""
    script = """
        import sys, threading, time
        from mlwright.cli import commands, main
        def stuck(options):
            threading.Thread(target=time.sleep, args=(60,)).start()
            print("ready", flush=True)
            while True:
                try:
                    time.sleep(60)
                except KeyboardInterrupt:
                    pass
        commands.doctor = stuck
        sys.argv = ["mlwright", "doctor", "--json"]
        sys.exit(main())
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "mlwright: interrupted\n"
    assert json.loads(out) == {
        "error": {"type": "Interrupted", "message": "interrupted"},
        "exit_code": 130,
    }


def test_a_command_called_from_python_leaves_the_process_and_its_signals_alone(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    assert main(["doctor"]) in (0, 1)
    assert signal.getsignal(signal.SIGINT) is before


def test_predict_says_what_is_wrong_and_leaves_no_half_written_file(copied, capsys, monkeypatch):
    monkeypatch.chdir(copied)

    def refused(*arguments):
        before = set(copied.rglob("*"))
        code = main(["predict", *arguments])
        out, err = capsys.readouterr()
        left = [p for p in set(copied.rglob("*")) - before if ".mlwright" not in p.parts]
        assert left == []
        assert out == ""
        assert "Traceback" not in err
        assert "internal error" not in err
        return code, err

    text = Path("customers.csv").read_text().splitlines()
    Path("less.csv").write_text(
        "\n".join(line.split(",", 2)[0] + "," + line.split(",", 2)[2] for line in text) + "\n"
    )
    code, err = refused("churn", "less.csv", "-o", "out.csv")
    assert code == 1
    assert "tenure" in err
    code, err = refused("churn", "customers.csv", "-o", "customers.csv")
    assert code == 2
    assert "the same file" in err
    code, err = refused("churn", "customers.csv", "-o", "out.xlsx")
    assert code == 2
    assert ".jsonl" in err
    code, err = refused("churn", "customers.csv", "-o", "customers.csv/out.csv")
    assert code in (1, 2)
    assert "customers.csv" in err
    code, err = refused("churm", "customers.csv", "-o", "out.csv")
    assert code == 2
    assert "did you mean 'churn'" in err
    code, err = refused("churn/7", "customers.csv", "-o", "out.csv")
    assert code == 2
    assert "churn/1" in err
    assert main(["serve", "churm"]) == 2
    assert "did you mean 'churn'" in capsys.readouterr().err


def test_a_folder_of_the_models_name_is_not_taken_for_a_bundle(copied, capsys, monkeypatch):
    monkeypatch.chdir(copied)
    Path("churn").mkdir()
    assert main(["report", "churn"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.is_file()
    assert main(["report", str(path.parent)]) == 0
    assert Path(capsys.readouterr().out.strip()) == path


def test_listings_fit_eighty_columns_and_name_what_other_commands_take(copied, capsys, monkeypatch):
    monkeypatch.chdir(copied)
    assert main(["runs"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "model", "status", "started", "test", "score"]
    assert max(len(head), len(line)) <= 80
    run = line.split()[0]
    assert line.split()[1:3] == ["churn", "finished"]
    assert main(["runs", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["run_id"].startswith(run)
    assert main(["models"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert line.split()[:4] == ["churn", "1", "champion", run]
    assert max(len(head), len(line)) <= 80
    assert main(["reproduce", run, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_id"] == told["run_id"]


def test_small_commands_say_what_they_did(copied, capsys, monkeypatch):
    monkeypatch.chdir(copied)

    def said(*arguments, code=0):
        assert main([*arguments]) == code
        return capsys.readouterr()

    assert said("gc", "--dry-run").out == "nothing to remove\n"
    doctor = said("doctor").out
    assert re.search(r"^models +1$", doctor, re.MULTILINE)
    assert str(copied / ".mlwright") in doctor
    assert "serves already" in said("promote", "churn", "1", code=2).err
    assert (
        "rollback" in said("rollback", "churn", code=2).err
        or "before" in said("rollback", "churn", code=2).err
    )
    assert "shop/mlwright.toml" in said("init", "shop").out
    assert Path(said("report", "churn").out.strip()).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    bundle = next((copied / ".mlwright" / "artifacts").rglob("manifest.json")).parent
    assert "is whole" in said("verify", str(bundle)).out
    new = "new.csv"
    write(new, n=50, seed=2)
    assert (
        "50 rows predicted by churn, written to out/of/it.csv"
        in said("predict", "churn", new, "-o", "out/of/it.csv").out
    )
    assert len(Path("out/of/it.csv").read_text().splitlines()) == len(rows(50)) + 1


def test_a_project_in_the_current_folder_needs_no_name(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mlwright.toml").write_text("[data]\nsource = 'missing.csv'\n[task]\ntarget = 'a'\n")
    assert main(["run"]) == 1
    assert "missing.csv" in capsys.readouterr().err


def test_help_names_every_command_and_exit_code(capsys):
    assert main([]) == 2
    text = capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == text
    commands = parser().commands
    assert len(commands) == 21
    for name, command in commands.items():
        assert re.search(rf"^    {name} ", text, re.MULTILINE)
        shown = command.format_help()
        assert f"example: mlwright {name}" in shown
        for action in command._actions:
            assert action.help
    for code, word in {0: "done", 1: "failed", 2: "wrong use", 3: "refused", 130: "interrupted"}.items():
        assert re.search(rf"^  {code} +.*{word}", text, re.MULTILINE)


def test_every_example_of_the_help_can_be_parsed(capsys):
    from mlwright.cli.grammar import parse

    for name, command in parser().commands.items():
        words = command.epilog.removeprefix("example: mlwright ").split()
        _, options = parse(words)
        assert options.call == name


def test_a_paint_for_a_pipe_changes_nothing(tmp_path):
    with (tmp_path / "out").open("w") as file:
        paint = Paint(file)
    assert paint("words", "bold", "red") == "words"
    assert paint.width is None
