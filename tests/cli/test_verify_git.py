"""`exprec verify --git` and `--staged`: committed or staged runs are verified, whatever the working tree has."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.cli import completed_values, exprec
from tests.fixtures.git import git
from tests.fixtures.paths import CASTRO
from tests.fixtures.runs import record_command, run_ids

pytestmark = pytest.mark.usefixtures("git_as_it_comes")
FORMATS = ("sha1", "sha256")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of two runs, of which one has a tag."""
    folder = tmp_path_factory.mktemp("recorded")
    for seed in ("1", "2"):
        exprec("run", "-q", CASTRO / "two-period.yaml", "--seed", seed, cwd=folder)
    exprec("tag", "first", run_ids(folder)[0], cwd=folder)
    return folder


MakeRepository = Callable[..., Path]


@pytest.fixture
def make(recorded: Path, tmp_path: Path) -> MakeRepository:
    def make(*, object_format: str = "sha1", commit: bool = True, store: str = "runs") -> Path:
        folder = tmp_path / "repository"
        shutil.copytree(recorded / "runs", folder / store)
        git(folder, "init", "-q", f"--object-format={object_format}")
        git(folder, "add", "-A")
        if commit:
            git(folder, "commit", "-q", "-m", "two runs")
        return folder

    return make


@pytest.fixture
def folder(make: MakeRepository) -> Path:
    """A repository with two committed runs."""
    return make()


def _verify(folder: Path, *arguments: str | Path, code: int = 0) -> tuple[list[str], str]:
    done = exprec("verify", *arguments, cwd=folder, code=code)
    assert b"Traceback" not in done.stderr
    return done.stdout.decode().splitlines(), done.stderr.decode()


def _append(path: Path, text: str = " ") -> Path:
    path.write_text(path.read_text("utf-8") + text, "utf-8")
    return path


def _object_id(folder: Path, name: str) -> str:
    return git(folder, "rev-parse", name)


def _loose_object(folder: Path, object_id: str) -> Path:
    path = folder / ".git" / "objects" / object_id[:2] / object_id[2:]
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    return path


# --- a revision ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("object_format", FORMATS)
def test_what_is_committed_is_verified_whatever_the_working_tree_has(make: MakeRepository, object_format: str) -> None:
    folder = make(object_format=object_format)
    ids = run_ids(folder)
    shutil.rmtree(folder / "runs")
    lines, said = _verify(folder, "--git", "HEAD")
    assert [line.split(" (")[0] for line in lines] == [f"ok {run_id}" for run_id in ids]
    assert said == "2 runs verified: no problems\n"
    assert _verify(folder, "--git", "HEAD", "--quick")[0] == lines


def test_run_is_named_by_run_id_prefix_or_tag_of_the_revision(folder: Path) -> None:
    first, second = run_ids(folder)
    git(folder, "rm", "-q", "-r", "runs/tags", f"runs/{first}")
    git(folder, "commit", "-q", "-m", "remove")
    for name in (first, first[:6], "first"):
        assert _verify(folder, "--git", "HEAD^", name)[0][0].startswith(f"ok {first}")
        _, said = _verify(folder, "--git", "HEAD", name, code=4)
        assert said.startswith(f"exprec: no run '{name}' in HEAD:runs; ")
    assert len(_verify(folder, "--git", "HEAD")[0]) == 1
    assert _verify(folder, "--git", "HEAD", second, second[:5])[1] == "2 runs verified: no problems\n"


def test_the_bytes_that_git_has_count_not_those_of_a_checkout(folder: Path) -> None:
    """Line endings converted at a checkout are not a problem; committed ones are."""
    (run_id, _) = run_ids(folder)
    (folder / "runs" / ".gitattributes").write_text("* text eol=crlf\n", "utf-8")
    git(folder, "commit", "-q", "-a", "-m", "attributes")
    _verify(folder, "--git", "HEAD")
    config = folder / "runs" / run_id / "config.json"
    config.write_bytes(config.read_bytes().replace(b"\n", b"\r\n"))
    (folder / "runs" / ".gitattributes").write_text("* -text\n", "utf-8")
    git(folder, "commit", "-q", "-a", "-m", "converted")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert any(line.startswith(f"HEAD:runs/{run_id}/config.json:1: ") and "line endings" in line for line in lines)
    _verify(folder, "--git", "HEAD^")


def test_what_git_replace_shows_does_not_count(folder: Path) -> None:
    (run_id, _) = run_ids(folder)
    config = _object_id(folder, f"HEAD:runs/{run_id}/config.json")
    git(folder, "replace", config, _object_id(folder, "HEAD:runs/store.json"))
    _verify(folder, "--git", "HEAD")


def test_a_problem_is_named_as_git_names_the_file(folder: Path) -> None:
    run_id, other = run_ids(folder)
    path = folder / "runs" / run_id / "events.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seq":1,', b'"seq":7,'))
    git(folder, "commit", "-q", "-a", "-m", "changed")
    git(folder, "tag", "broken")
    lines, said = _verify(folder, "--git", "broken", code=1)
    assert any(line.startswith(f"broken:runs/{run_id}/events.jsonl:2: seq: must be 1, not 7") for line in lines)
    assert said.startswith("2 runs verified: 1 run with ")
    (row, _) = [json.loads(line) for line in _verify(folder, "--git", "broken", "--json", code=1)[0]]
    assert (row["run"], row["path"], row["ok"]) == (run_id, f"broken:runs/{run_id}", False)
    assert {"file", "line", "key", "message"} == row["problems"][0].keys()
    assert row["problems"][0]["file"].startswith(f"{run_id}/")
    assert git(folder, "cat-file", "-t", lines[0].split(": ")[0]) == "blob"
    quick, _ = _verify(folder, "--git", "broken", "--quick", code=1)
    assert not any("seq" in line for line in quick)
    assert len(_verify(folder, "--git", "broken^")[0]) == 2
    assert _verify(folder, "--git", "broken", other)[0]


def test_an_attestation_is_verified_with_its_run(folder: Path) -> None:
    (run_id, _) = run_ids(folder)
    (path,) = (folder / "runs" / "attestations" / run_id).iterdir()
    _append(path)
    git(folder, "commit", "-q", "-a", "-m", "changed")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert all(line.startswith(f"HEAD:runs/attestations/{run_id}/{path.name}: ") for line in lines[:1])


@pytest.mark.parametrize(
    ("mode", "name", "says"),
    [
        ("120000", "config.json", "is a symbolic link, not a regular file"),
        ("160000", "config.json", "is a submodule, not a regular file"),
        ("100755", "config.json", "is executable"),
        ("100644", "notes.txt", "unexpected in a run"),
        ("100644", "more/notes.txt", "unexpected in a run"),
        ("120000", "escape", "unexpected in a run"),
        ("100644", "n" * 300, "unexpected in a run"),
    ],
)
def test_only_regular_files_are_files_of_a_run(folder: Path, mode: str, name: str, says: str) -> None:
    (run_id, _) = run_ids(folder)
    blob = _object_id(folder, f"HEAD:runs/{run_id}/config.json")
    object_id = _object_id(folder, "HEAD") if mode == "160000" else blob
    git(folder, "update-index", "--add", "--cacheinfo", f"{mode},{object_id},runs/{run_id}/{name}")
    git(folder, "commit", "-q", "-m", "entry")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    place = f"HEAD:runs/{run_id}/{name.split('/')[0]}: "
    assert [line for line in lines if line.startswith(place) and says in line], lines
    assert lines[-1].startswith("ok ")


@pytest.mark.parametrize("mode", ["120000", "100644", "160000"])
def test_run_that_is_not_a_folder(folder: Path, mode: str) -> None:
    (run_id, _) = run_ids(folder)
    object_id = _object_id(folder, "HEAD" if mode == "160000" else "HEAD:runs/store.json")
    git(folder, "rm", "-q", "-r", "--cached", f"runs/{run_id}")
    git(folder, "update-index", "--add", "--cacheinfo", f"{mode},{object_id},runs/{run_id}")
    git(folder, "commit", "-q", "-m", "entry")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert lines[0].startswith(f"HEAD:runs/{run_id}: must be a folder, and is a ")


def test_names_that_lead_elsewhere_are_not_followed(folder: Path, tmp_path: Path) -> None:
    """Check a tree that git itself never writes, but other programs may."""
    (run_id, _) = run_ids(folder)

    def raw_tree(name: str) -> bytes:
        return subprocess.run(["git", "cat-file", "tree", name], cwd=folder, capture_output=True, check=True).stdout

    def hashed(tree: bytes) -> str:
        command = ["git", "hash-object", "-t", "tree", "--literally", "-w", "--stdin"]
        return subprocess.run(command, cwd=folder, input=tree, capture_output=True, check=True).stdout.decode().strip()

    blob = bytes.fromhex(_object_id(folder, "HEAD:runs/store.json"))
    tags = hashed(b"100644 ..\0" + blob + b"100644 run.json\0" + blob)
    within = bytes.fromhex(hashed(b"100644 ..\0" + blob + b"100644 x\0" + blob + b"40000 x\0" + bytes.fromhex(tags)))
    crafted = b"100644 ..\0" + blob + b"40000 artifacts\0" + within
    run = hashed(crafted + raw_tree(f"HEAD:runs/{run_id}"))
    old = bytes.fromhex(_object_id(folder, f"HEAD:runs/{run_id}"))
    changed = raw_tree("HEAD:runs").replace(old, bytes.fromhex(run))
    changed = changed.replace(bytes.fromhex(_object_id(folder, "HEAD:runs/tags")), bytes.fromhex(tags))
    above = b"".join(b"40000 %s\0" % name + old for name in (b"..", b".", b"../../elsewhere"))
    runs = hashed(above + changed)
    root = hashed(b"40000 runs\0" + bytes.fromhex(runs))
    commit = git(folder, "commit-tree", root, "-p", "HEAD", "-m", "crafted")
    done = exprec("verify", "--git", commit, cwd=folder, env={"TMPDIR": str(tmp_path)}, code=1)
    lines = done.stdout.decode().splitlines()
    assert f"{commit}:runs/{run_id}/..: is not a valid file name" in lines
    assert lines[-1].startswith("ok ")
    for file in ("..", "x/.."):
        assert f"{commit}:runs/{run_id}/artifacts/{file}: is not a valid file name" in lines
    place = f"{commit}:runs/{run_id}/artifacts/x/run.json: "
    assert any(line.startswith(place) for line in lines)
    assert len([line for line in lines if ": is not a valid file name" in line]) == 3
    assert list(tmp_path.iterdir()) == [folder]
    assert exprec("review", f"HEAD..{commit}", cwd=folder, env={"TMPDIR": str(tmp_path)}, code=1)
    assert list(tmp_path.iterdir()) == [folder]


def test_in_a_sha256_repository_the_tree_id_is_compared_too(make: MakeRepository) -> None:
    folder = make(object_format="sha256")
    (run_id, _) = run_ids(folder)
    assert _object_id(folder, f"HEAD:runs/{run_id}") == run_id
    git(folder, "update-index", "--chmod=+x", f"runs/{run_id}/run.json")
    git(folder, "commit", "-q", "-m", "executable")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert lines[0].startswith(f"HEAD:runs/{run_id}: has the id {_object_id(folder, f'HEAD:runs/{run_id}')} in git")
    assert "git update-index --chmod=-x" in lines[1]


def test_a_renamed_run_is_found_by_its_files(folder: Path) -> None:
    (run_id, _) = run_ids(folder)
    git(folder, "mv", f"runs/{run_id}", "runs/best")
    git(folder, "commit", "-q", "-m", "renamed")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert any(line.startswith("HEAD:runs/best: is not a run id") for line in lines)


@pytest.fixture(params=FORMATS)
def command(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """A repository with the run of a command, which has artifacts in folders; staged, not yet committed."""
    folder = tmp_path / "repository"
    folder.mkdir()
    run_id = record_command(Store.open_or_create(folder / "runs")).run_id
    git(folder, "init", "-q", f"--object-format={request.param}")
    git(folder, "add", "-A")
    return folder, run_id


def test_the_artifacts_of_a_run_are_verified_in_their_folders(command: tuple[Path, str]) -> None:
    folder, run_id = command
    assert [line.startswith(f"ok {run_id}") for line in _verify(folder, "--staged")[0]] == [True]
    git(folder, "commit", "-q", "-m", "one run")
    assert [line.startswith(f"ok {run_id}") for line in _verify(folder, "--git", "HEAD")[0]] == [True]
    file = f"runs/{run_id}/artifacts/deep/er/a.b"
    (folder / file).write_bytes(b"other")
    git(folder, "add", "-A")
    staged, _ = _verify(folder, "--staged", code=1)
    assert any(line.startswith(f":{file}: is changed in a sealed run") for line in staged)
    assert any(line.startswith(f":{file}: has 5 bytes") for line in staged)
    git(folder, "commit", "-q", "-m", "changed")
    assert any(line.startswith(f"HEAD:{file}: has 5 bytes") for line in _verify(folder, "--git", "HEAD", code=1)[0])
    git(folder, "mv", f"runs/{run_id}", "runs/best")
    git(folder, "commit", "-q", "-m", "renamed")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert any(line.startswith("HEAD:runs/best/artifacts/deep/er/a.b: has 5 bytes") for line in lines)


@pytest.mark.parametrize(
    ("mode", "name", "says"),
    [
        ("120000", "model.txt", "is a symbolic link, not a regular file"),
        ("100755", "model.txt", "is executable"),
        ("100644", "deep/more", "is not listed in run.json"),
        ("120000", "deep/more", "is a symbolic link, not a regular file"),
        ("100644", "n" * 300, "has a part of more than 200 bytes in its name"),
        ("100644", "deep/.gitignore", "means something to git"),
    ],
)
def test_only_regular_files_are_artifacts(command: tuple[Path, str], mode: str, name: str, says: str) -> None:
    folder, run_id = command
    file = f"runs/{run_id}/artifacts/{name}"
    object_id = _object_id(folder, f":runs/{run_id}/stdout")
    git(folder, "update-index", "--add", "--cacheinfo", f"{mode},{object_id},{file}")
    git(folder, "commit", "-q", "-m", "entry")
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert [line for line in lines if line.startswith(f"HEAD:{file}: ") and says in line], lines


# --- where the store is -------------------------------------------------------------------------------


def test_the_store_is_taken_from_the_top_of_its_repository(make: MakeRepository, tmp_path: Path) -> None:
    folder = make(store="project/deep/runs")
    assert len(_verify(folder / "project" / "deep", "--git", "HEAD")[0]) == 2
    assert len(_verify(tmp_path, "--git", "HEAD", "--store", "repository/project/deep/runs")[0]) == 2
    shutil.rmtree(folder / "project")
    assert len(_verify(tmp_path, "--git", "HEAD", "--store", "repository/project/deep/runs")[0]) == 2


def test_the_only_other_store_is_used_and_named(make: MakeRepository) -> None:
    folder = make(store="elsewhere/runs")
    lines, said = _verify(folder, "--git", "HEAD")
    assert len(lines) == 2
    assert said.startswith("exprec: using the store HEAD:elsewhere/runs; there is none at runs\n")
    _, said = _verify(folder, "--git", "HEAD", "--store", "runs", code=5)
    assert "name one of these with --store: elsewhere/runs" in said
    shutil.copytree(folder / "elsewhere" / "runs", folder / "third")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "another")
    _, said = _verify(folder, "--git", "HEAD", code=5)
    assert "name one of these with --store: elsewhere/runs, third" in said


def test_a_store_that_is_a_repository_of_its_own(recorded: Path, tmp_path: Path) -> None:
    store = Path(shutil.copytree(recorded / "runs", tmp_path / "runs"))
    git(store, "init", "-q")
    git(store, "add", "-A")
    git(store, "commit", "-q", "-m", "runs")
    (run_id, _) = run_ids(tmp_path)
    assert len(_verify(tmp_path, "--git", "HEAD")[0]) == 2
    assert len(_verify(store, "--git", "HEAD")[0]) == 2
    _append(store / run_id / "config.json")
    git(store, "add", "-A")
    assert _verify(store, "--staged", code=1)[0][0].startswith(f":{run_id}/config.json: is changed in")


def test_a_bare_repository(folder: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(folder), "bare.git")
    bare = tmp_path / "bare.git"
    refused = exprec("verify", "--git", "HEAD", cwd=bare, code=2).stderr.decode()
    assert "cannot use bare repository" in refused
    assert "if it is yours, name it by the variable GIT_DIR" in refused
    done = exprec("verify", "--git", "HEAD", cwd=bare, env={"GIT_DIR": str(bare)})
    assert len(done.stdout.splitlines()) == 2


def test_a_store_of_a_newer_format_is_refused(folder: Path) -> None:
    (folder / "runs" / "store.json").write_text('{"format":9}\n', "utf-8")
    git(folder, "commit", "-q", "-a", "-m", "newer")
    _, said = _verify(folder, "--git", "HEAD", code=5)
    assert said.startswith("exprec: HEAD:runs/store.json: format 9 is newer")


# --- what git cannot do -------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["nope", "", "-q", "HEAD:runs", "HEAD^^^^", "a b\n"])
def test_an_unknown_revision(folder: Path, revision: str) -> None:
    _, said = _verify(folder, f"--git={revision}", code=2)
    assert said.startswith(f"exprec: '{revision}' names no commit here; ")


def test_no_commits_no_repository_no_git(tmp_path: Path) -> None:
    _, said = _verify(tmp_path, "--git", "HEAD", code=2)
    assert said.startswith(f"exprec: {tmp_path}: not a git repository")
    assert _verify(tmp_path, "--staged", code=2)[1].startswith("exprec: .: not a git repository")
    git(tmp_path, "init", "-q")
    assert "names no commit here" in _verify(tmp_path, "--git", "HEAD", code=2)[1]
    done = exprec("verify", "--git", "HEAD", cwd=tmp_path, env={"PATH": str(tmp_path)}, code=2)
    assert done.stderr.decode().startswith("exprec: git is needed for this")


def test_an_object_that_is_missing_or_damaged_is_a_problem_of_its_run(folder: Path) -> None:
    first, second = run_ids(folder)
    _loose_object(folder, _object_id(folder, f"HEAD:runs/{first}/events.jsonl")).unlink()
    damaged = _loose_object(folder, _object_id(folder, f"HEAD:runs/{second}/config.json"))
    damaged.write_bytes(damaged.read_bytes()[:20] + b"x" * 40)
    lines, _ = _verify(folder, "--git", "HEAD", code=1)
    assert [line.split(": git cannot read the object ")[0] for line in lines] == [
        f"HEAD:runs/{first}/events.jsonl",
        f"HEAD:runs/{second}/config.json",
        f"HEAD:runs/{second}/events.jsonl",
    ]


def test_of_a_partial_clone_nothing_is_fetched(folder: Path, tmp_path: Path) -> None:
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", folder.as_uri(), clone.name)
    _, said = _verify(clone, "--git", "HEAD", code=5)
    assert "in a partial clone, `git fetch --refetch --no-filter` gets all" in said
    git(clone, "fetch", "-q", "--refetch", "--no-filter")
    assert len(_verify(clone, "--git", "HEAD", "--quick")[0]) == 2


def test_nothing_is_left_behind(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    for code, arguments in ((0, ["HEAD"]), (4, ["HEAD", "nope"])):
        exprec("verify", "--git", *arguments, cwd=folder, env={"TMPDIR": str(tmp_path / "temporary")}, code=code)
        assert not list((tmp_path / "temporary").iterdir())
    assert git(folder, "status", "--porcelain") == ""


# --- the index ----------------------------------------------------------------------------------------


def test_what_git_ignores_of_a_staged_run_is_named(make: MakeRepository) -> None:
    folder = make(commit=False)
    git(folder, "rm", "-r", "-q", "--cached", ".")
    (folder / ".gitignore").write_text("config.json\n")
    (folder / "runs" / ".gitignore").write_text("/.work/\n")
    git(folder, "add", "-A")
    lines, _ = _verify(folder, "--staged", code=1)
    run_id = run_ids(folder)[0]
    reason = "is not in the commit, because git ignores it by the rule 'config.json' in .gitignore, line 1"
    assert f":runs/{run_id}/config.json: {reason}; type: git add --force -- runs/{run_id}/config.json" in lines
    # What stores have since then, so that no rule outside of them counts.
    (folder / "runs" / ".gitignore").write_text("!*\n/.work/\n")
    git(folder, "add", "-A")
    _verify(folder, "--staged")


@pytest.mark.parametrize("object_format", FORMATS)
def test_before_the_first_commit_every_staged_run_is_verified(make: MakeRepository, object_format: str) -> None:
    folder = make(object_format=object_format, commit=False)
    assert len(_verify(folder, "--staged")[0]) == 2
    git(folder, "commit", "-q", "-m", "first")
    assert _verify(folder, "--staged") == ([], "0 runs verified: no problems\n")


@pytest.mark.parametrize("file", ["run.json", "config.json", "events.jsonl", "schemas.json"])
def test_a_sealed_run_that_is_changed_or_loses_a_file(folder: Path, file: str) -> None:
    run_id, other = run_ids(folder)
    path = _append(folder / "runs" / run_id / file)
    _append(folder / "runs" / other / file)
    assert _verify(folder, "--staged")[0] == []
    git(folder, "add", str(path))
    lines, said = _verify(folder, "--staged", code=1)
    assert lines[0].startswith(f":runs/{run_id}/{file}: is changed in a sealed run, which never changes; git restore")
    assert said.startswith("1 run verified: 1 run with ")
    assert _verify(folder, "--staged", "--quick", code=1)[0][0] == lines[0]
    git(folder, "rm", "-q", "--cached", str(path))
    lines, _ = _verify(folder, "--staged", code=1)
    assert lines[0].startswith(f":runs/{run_id}/{file}: is removed from a sealed run")


def test_a_file_that_is_added_to_a_sealed_run(folder: Path) -> None:
    (run_id, _) = run_ids(folder)
    (folder / "runs" / run_id / "notes.txt").write_text("mine\n", "utf-8")
    assert _verify(folder, "--staged")[0] == []
    git(folder, "add", "-N", ".")
    assert _verify(folder, "--staged")[0] == []
    git(folder, "add", ".")
    lines, _ = _verify(folder, "--staged", code=1)
    assert lines[0].startswith(f":runs/{run_id}/notes.txt: is added to a sealed run")


def test_a_change_that_repairs_a_run_is_allowed(folder: Path) -> None:
    (run_id, _) = run_ids(folder)
    path = _append(folder / "runs" / run_id / "config.json")
    git(folder, "commit", "-q", "-a", "-m", "broken")
    path.write_bytes(path.read_bytes()[:-1])
    git(folder, "add", "-A")
    lines, said = _verify(folder, "--staged")
    assert lines[0].startswith(f"ok {run_id}")
    assert f"exprec: this commit repairs run {run_id}\n" in said


def test_a_run_may_be_removed_whole(folder: Path) -> None:
    first, _ = run_ids(folder)
    git(folder, "rm", "-q", "-r", f"runs/{first}")
    lines, said = _verify(folder, "--staged")
    assert lines == []
    assert f"removes the run {first}; still present: tag first, 1 attestation\n" in said
    git(folder, "rm", "-q", "-r", "runs/tags", f"runs/attestations/{first}")
    assert f"removes the run {first}\n" in _verify(folder, "--staged")[1]


def test_a_tag_or_attestation_without_its_run(folder: Path) -> None:
    exprec("run", "-q", CASTRO / "two-period.yaml", "--seed", "3", cwd=folder)
    (new,) = set(run_ids(folder)) - set(git(folder, "ls-tree", "--name-only", "HEAD:runs").split())
    exprec("tag", "new", new, cwd=folder)
    (folder / "runs" / "tags" / "odd").write_text("<<<<<<<\n", "utf-8")
    git(folder, "add", "runs/tags", "runs/attestations")
    lines, said = _verify(folder, "--staged", code=1)
    (attestation,) = (folder / "runs" / "attestations" / new).iterdir()
    assert [line.split(";")[0] for line in lines] == [
        f":runs/attestations/{new}/{attestation.name}: attests a run that is not in the index",
        f":runs/tags/new: names run {new}, which is not in the index",
        ":runs/tags/odd: must contain one line with a full run id",
    ]
    assert said == "0 runs verified: 3 problems\n"
    rows = [json.loads(line) for line in _verify(folder, "--staged", "--json", code=1)[0]]
    assert [(row["run"], row["ok"], row["path"]) for row in rows][1] == (None, False, ":runs/tags/new")
    git(folder, "rm", "-q", "--cached", "runs/tags/odd")
    git(folder, "add", f"runs/{new}")
    assert _verify(folder, "--staged")[0][0].startswith(f"ok {new}")


def test_another_execution_verifies_its_run_again(folder: Path) -> None:
    exprec("run", "-q", CASTRO / "two-period.yaml", "--seed", "1", cwd=folder)
    git(folder, "add", "-A")
    assert _verify(folder, "--staged")[1] == "1 run verified: no problems\n"


def test_every_store_of_the_repository_counts(make: MakeRepository) -> None:
    folder = make(commit=False, store="one/runs")
    shutil.copytree(folder / "one" / "runs", folder / "two")
    git(folder, "add", "-A")
    assert len(_verify(folder / "one", "--staged")[0]) == 4
    assert len(_verify(folder, "--staged", "--store", "two")[0]) == 2
    assert (
        "there are no runs in three, neither in HEAD nor in the index"
        in _verify(folder, "--staged", "--store", "three")[1]
    )


def test_a_run_without_its_store(folder: Path) -> None:
    (run_id, _) = run_ids(folder)
    shutil.copytree(folder / "runs" / run_id, folder / "loose" / run_id)
    git(folder, "add", "loose")
    lines, said = _verify(folder, "--staged")
    assert len(lines) == 1
    assert "loose has no store.json" in said
    git(folder, "rm", "-q", "--cached", "runs/store.json")
    assert _verify(folder, "--staged", code=1)[0][1].startswith(":runs/store.json: is removed, but runs remain")


def test_a_tag_in_conflict(folder: Path) -> None:
    first, second = run_ids(folder)
    branch = git(folder, "branch", "--show-current")
    for name, run_id in (("one", first), ("other", second)):
        git(folder, "checkout", "-q", "-b", name, branch)
        exprec("tag", "best", run_id, cwd=folder)
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", name)
    with pytest.raises(subprocess.CalledProcessError):
        git(folder, "merge", "-q", "one")
    assert _verify(folder, "--staged", code=1)[0] == [":runs/tags/best: is in conflict; resolve that, then git add it"]


def test_as_a_hook_it_sees_what_this_commit_has(folder: Path) -> None:
    """`git commit -a` and `git commit FILE` have an index of their own, which only the hook knows."""
    (run_id, _) = run_ids(folder)
    hook = folder / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    command = f"'{sys.executable}' -c 'from exprec.cli.main import main; main()' verify --staged"
    hook.write_text(f"#!/bin/sh\ncd runs && {command}\n", "utf-8")
    hook.chmod(0o755)
    path = _append(folder / "runs" / run_id / "events.jsonl")
    head = _object_id(folder, "HEAD")
    for arguments in (["-a"], [str(path)]):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            git(folder, "commit", "-q", "-m", "changed", *arguments)
        said = refused.value.stdout + refused.value.stderr
        assert f":runs/{run_id}/events.jsonl: is changed in a sealed run" in said
    assert _object_id(folder, "HEAD") == head
    (folder / "notes.txt").write_text("fine\n", "utf-8")
    git(folder, "add", "notes.txt")
    git(folder, "commit", "-q", "-m", "something else")
    git(folder, "worktree", "add", "-q", "../second")
    second = folder.parent / "second"
    _append(second / "runs" / run_id / "events.jsonl")
    with pytest.raises(subprocess.CalledProcessError):
        git(second, "commit", "-q", "-a", "-m", "changed")


def test_wrong_usage(folder: Path) -> None:
    for arguments in (["abcd"], ["--all"], ["--git", "HEAD"]):
        assert "--staged selects the runs" in _verify(folder, "--staged", *arguments, code=2)[1]
    _verify(folder, "--git", "HEAD", "--all", "first", code=2)
    assert len(_verify(folder, "--git", "HEAD", "--all")[0]) == 2


def test_revisions_are_completed(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(folder, "branch", "bootstrap")
    monkeypatch.chdir(folder)
    assert completed_values("verify", "--git", "boot") == ["bootstrap"]
    monkeypatch.chdir(tmp_path)
    assert completed_values("verify", "--git", "") == []
