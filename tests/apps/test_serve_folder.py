"""The HTTP server: packages that come, change and go, and what its keeper sees."""

import concurrent.futures
import itertools
import json
import os
import shutil
import threading
import time
from pathlib import Path

import httpx
import pytest
from serving import answer_of, picture, running, same, until
from vislearn_serve import shelf
from vislearn_serve.packages import find_packages, load
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import Metrics

from vislearn.export import PackageError

pytestmark = pytest.mark.tensorflow  # which exports the packages


def test_packages_are_found(tmp_path):
    made = ("one", "many/1", "many/12", "vae/encoder", ".hidden", "with space", "many/old")
    for name in made:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").write_text("{}")
    assert sorted(find_packages(tmp_path).packages) == [
        ("many", "1"),
        ("many", "12"),
        ("many_old", "1"),
        ("one", "1"),
        ("vae_encoder", "1"),
    ]
    assert [*find_packages(tmp_path / "one").packages] == [("one", "1")]


def test_packages_under_names_that_are_not_allowed_are_told(tmp_path):
    made = ("a b", "a b/1", "c d/2", "many/0002", "many/0", "many/3", "many/.new", "_x", "many/e f")
    for name in (*made, os.fsdecode(b"caf\xe9")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").write_text("{}")
    (tmp_path / "no package").mkdir()
    found = find_packages(tmp_path)
    assert [*found.packages] == [("many", "3")]
    assert found.problems.keys() == {
        ("a b", "1"),
        ("c d", "2"),
        ("many", "0002"),
        ("many", "0"),
        ("_x", "1"),
        ("many_e f", "1"),
        ("caf\ufffd", "1"),
    }
    assert "name 'a b' must be 1 to 128 letters" in found.problems["a b", "1"]
    assert "version '0002' must be a whole number from 1" in found.problems["many", "0002"]
    with running(tmp_path) as client:
        told = {entry["name"]: entry["errors"] for entry in client.get("/models").json()["models"]}
    assert told["many"].keys() == {"0", "0002", "3"} and "a b" in told


def test_reload(exported, tmp_path, pixels, expected):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    with running(tmp_path) as client:
        assert same(answer_of(client, pixels), expected["1"])

        # A broken file, in place, under the running model: it goes on, and says so.
        (place / "model.tflite").write_bytes(b"broken")
        until(lambda: client.get("/models").json()["models"][0]["errors"])
        assert "sha256" in client.get("/models").json()["models"][0]["errors"]["1"]
        (state,) = client.get("/v1/models/letters").json()["model_version_status"]
        assert state["state"] == "AVAILABLE" and "sha256" in state["status"]["error_message"]
        assert 'vislearn_model_loads_total{model="letters",outcome="failed",version="1"} 1.0' in (
            client.get("/metrics").text
        )
        assert same(answer_of(client, pixels), expected["1"])

        # A whole one in its place, and a newer version.
        shutil.rmtree(place)
        shutil.copytree(exported / "second", place)
        until(lambda: same(answer_of(client, pixels), expected["2"]))
        shutil.rmtree(place)
        shutil.copytree(exported / "second", place / "1")
        shutil.copytree(exported / "first", place / "2")
        until(lambda: same(answer_of(client, pixels), expected["1"]))
        until(lambda: client.get("/v2/models/letters").json()["versions"] == ["2", "1"])

        # Gone.
        shutil.rmtree(place)
        until(lambda: client.get("/v1/models/letters").status_code == 404)
        assert client.get("/v2/health/ready").status_code == 503


def test_replacing_a_package_under_load_loses_no_request(exported, tmp_path, pixels, expected):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    end = threading.Event()

    def ask(url) -> list[str]:
        """Which package answered, request by request."""
        found = []
        with httpx.Client(base_url=url, timeout=60) as client:
            while not end.is_set():
                answer = answer_of(client, pixels)
                found += [version for version in "12" if same(answer, expected[version])] or ["?"]
        return found

    with (
        running(tmp_path) as client,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        asked = [pool.submit(ask, client.base_url) for _ in range(4)]
        for name, version in (("second", "2"), ("first", "1"), ("second", "2")):
            shutil.copytree(exported / name, tmp_path / ".new")
            place.rename(tmp_path / ".old")
            (tmp_path / ".new").rename(place)
            shutil.rmtree(tmp_path / ".old")
            until(lambda version=version: same(answer_of(client, pixels), expected[version]))
        end.set()
        answered = [future.result() for future in asked]
    assert {*"".join(map("".join, answered))} == {"1", "2"}


def test_deleting_a_package_under_load_loses_no_request(exported, tmp_path, pixels):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    end = threading.Event()

    def ask(url) -> set[int]:
        body, found = {"instances": pixels.tolist()}, set()
        with httpx.Client(base_url=url, timeout=60) as client:
            while not end.is_set():
                found.add(client.post("/v1/models/letters:predict", json=body).status_code)
        return found

    with (
        running(tmp_path) as client,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        asked = [pool.submit(ask, client.base_url) for _ in range(4)]
        until(lambda: client.get("/v1/models/letters").status_code == 200)
        shutil.rmtree(place)
        until(lambda: client.get("/v1/models/letters").status_code == 404)
        end.set()
        assert set.union(*(future.result() for future in asked)) <= {200, 404}


def test_no_room_for_the_copy_keeps_the_old_one_until_there_is(
    exported, tmp_path, pixels, expected, monkeypatch
):
    place, tries = tmp_path / "letters", []
    shutil.copytree(exported / "first", place)
    with running(tmp_path) as client:

        def full(*paths):
            tries.append(time.monotonic())
            raise OSError(28, "No space left on device")

        shutil.copytree(exported / "second", tmp_path / ".new")
        with monkeypatch.context() as patched:
            patched.setattr("vislearn_serve.packages.shutil.copyfile", full)
            place.rename(tmp_path / ".old")
            (tmp_path / ".new").rename(place)
            until(lambda: client.get("/models").json()["models"][0]["errors"])
            assert "No space" in client.get("/models").json()["models"][0]["errors"]["1"]
            assert same(answer_of(client, pixels), expected["1"])
            until(lambda: len(tries) == 4)
        pauses = [later - sooner for sooner, later in itertools.pairwise(tries)]
        assert pauses[2] > 2 * 0.05 and pauses[1] > 0.05  # at least the doubled poll
        until(lambda: same(answer_of(client, pixels), expected["2"]))
        assert client.get("/models").json()["models"][0]["errors"] == {}


def changed(place, change) -> None:
    """Changes the manifest of a package."""
    manifest = json.loads((place / "model.json").read_text())
    change(manifest)
    (place / "model.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda manifest: manifest.pop("shows"), None),
        (lambda manifest: manifest["inputs"][0].pop("resize"), "resize"),
        (lambda manifest: manifest["inputs"][0].update(dtype="int16"), "int16"),
        (lambda manifest: manifest["outputs"][0].update(shape=[None, 4]), "scores"),
        (lambda manifest: manifest.update(inputs=[]), ""),
        (lambda manifest: manifest.update(outputs=[{}]), ""),
        (lambda manifest: manifest.update(task="cooking"), "cooking"),
    ],
)
def test_a_wrong_manifest_hurts_no_other_package(exported, tmp_path, pixels, change, reason):
    for name in ("first", "second"):
        shutil.copytree(exported / name, tmp_path / name)
    changed(tmp_path / "first", change)
    before = threading.active_count()
    with running(tmp_path) as client:
        found = client.get("/models")
        assert found.status_code == 200
        by_name = {model["name"]: model for model in found.json()["models"]}
        assert by_name["second"]["versions"] == ["1"]
        errors = by_name["first"]["errors"]
        if reason is not None:
            assert reason in errors["1"] and by_name["first"]["versions"] == []
        file = picture(pixels[0])
        for path in ("/answer/first", "/answer/first?picture=true", "/answer/second"):
            assert client.post(path, content=file).status_code in (200, 404)
        assert client.get("/v2/repository/index").status_code in (200, 405)
    until(lambda: threading.active_count() <= before)


def test_a_package_that_can_not_be_loaded_leaves_no_thread(exported, tmp_path):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    changed(place, lambda manifest: manifest["inputs"][0].update(resize="bend"))
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(ValueError, match="bend"):
            load(("letters", "1"), place, Settings(tmp_path), Metrics())
    assert threading.active_count() == before


def test_a_folder_that_can_not_be_read_hides_no_other(exported, tmp_path, monkeypatch):
    for name in ("one", "two"):
        shutil.copytree(exported / "first", tmp_path / name / "7")
    whole, unreadable = Path.iterdir, []

    def iterdir(self):
        if self.name in unreadable:
            raise PermissionError(13, "Permission denied")
        return whole(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with running(tmp_path) as client:
        unreadable.append("one")
        until(lambda: "one" in str(client.get("/models").json()["models"][0]["errors"]))
        shutil.copytree(exported / "second", tmp_path / "three")
        until(lambda: client.get("/v2/models/three").status_code == 200)
        # What is there but can't be seen goes on serving.
        assert client.get("/v2/models/one/versions/7").status_code == 200
        unreadable.clear()
        until(lambda: not any(model["errors"] for model in client.get("/models").json()["models"]))


def test_two_folders_of_one_name(exported, tmp_path):
    shutil.copytree(exported / "first", tmp_path / "vae" / "encoder")
    shutil.copytree(exported / "second", tmp_path / "vae_encoder")
    with running(tmp_path) as client:
        (model,) = client.get("/models").json()["models"]
        assert model["versions"] == ["1"] and "has the same name" in model["errors"]["1"]
        shutil.rmtree(tmp_path / "vae_encoder")
        until(lambda: client.get("/models").json()["models"][0]["errors"] == {})


def test_an_error_goes_when_what_caused_it_does(exported, tmp_path, monkeypatch):
    shutil.copytree(exported / "first", tmp_path / "letters")
    whole, broken = shelf.fingerprint, []

    def fingerprint(directory):
        if broken:
            raise OSError(5, "Input/output error")
        return whole(directory)

    monkeypatch.setattr(shelf, "fingerprint", fingerprint)
    with running(tmp_path) as client:
        broken.append(True)
        until(lambda: client.get("/models").json()["models"][0]["errors"])
        broken.clear()
        until(lambda: client.get("/models").json()["models"][0]["errors"] == {})
        loaded = "vislearn_model_loads_total"
        (line,) = [row for row in client.get("/metrics").text.splitlines() if loaded + "{" in row]
        assert line.endswith(" 1.0")


def test_a_look_that_fails_is_not_the_last(exported, tmp_path, monkeypatch, pixels, expected):
    whole, broken = shelf.find_packages, [ZeroDivisionError(), RuntimeError()]

    def find_packages(folder):
        if find_packages.started and broken:
            raise broken.pop()
        find_packages.started = True
        return whole(folder)

    find_packages.started = False
    monkeypatch.setattr(shelf, "find_packages", find_packages)
    with running(tmp_path) as client:
        shutil.copytree(exported / "first", tmp_path / "letters")
        until(lambda: same(answer_of(client, pixels), expected["1"]))
    assert not broken


def test_a_package_can_name_no_file_outside(exported, tmp_path):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    manifest = json.loads((place / "model.json").read_text())
    manifest["files"]["savedmodel/1/../../../outside"] = {"size": 1, "sha256": "0"}
    (place / "model.json").write_text(json.dumps(manifest))
    settings = Settings(tmp_path, format="savedmodel")
    with pytest.raises(PackageError, match="outside' must be a path inside"):
        load(("letters", "1"), place, settings, Metrics())


def test_empty_folder_is_filled_later(exported, tmp_path, pixels, expected):
    with running(tmp_path) as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/models").json() == {"models": []}
        shutil.copytree(exported / "first", tmp_path / "letters")
        until(lambda: same(answer_of(client, pixels), expected["1"]))
        assert client.get("/v2/health/ready").status_code == 200
