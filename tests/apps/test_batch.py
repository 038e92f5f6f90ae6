"""Answers for many images: each good one once, each bad one told, finished shards kept."""

import collections
import io
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from pyarrow import parquet
from typer.testing import CliRunner
from vislearn_batch import pipeline, predict_batch, tfrecord
from vislearn_batch.answers import WRITERS
from vislearn_batch.job import finished
from vislearn_batch.worker import PredictShard

import vislearn
from vislearn.cli import app
from vislearn.data.images import fit_image, read_image
from vislearn.export.predictor import Predictor
from vislearn.tasks import Classification

pytestmark = pytest.mark.tensorflow

COUNT = 23  # images; not a multiple of the batch or of the shard


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Good pictures of several sizes, and one of each kind that can't be answered."""
    folder = tmp_path_factory.mktemp("photos")
    for index in range(COUNT):
        Image.fromarray(pixels(index)).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="module")
def bad(photos, tmp_path_factory):
    """What can't be answered, by name, and what it is then called."""
    folder = tmp_path_factory.mktemp("bad")
    good = (photos / "00.png").read_bytes()
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("no picture")
    (folder / "wide.png").write_bytes(encoded(Image.new("L", (1000, 1001))))
    (folder / "heavy.png").write_bytes(good + bytes(1 << 20))
    kinds = {
        "cut.png": "unreadable",
        "empty.png": "wrong_type",
        "text.png": "wrong_type",
        "wide.png": "too_large",
        "heavy.png": "too_large",
    }
    return folder, kinds


LIMITS = {"max_bytes": 1 << 20, "max_pixels": 1_000_000}


def pixels(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (16 + seed % 3, 16 + seed % 5, 3), dtype=np.uint8)


def encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def read_answers(output) -> list[dict]:
    paths = sorted(output.glob("answers-*.parquet"))
    return [row for path in paths for row in parquet.read_table(path).to_pylist()]


def read_dead(output) -> list[dict]:
    paths = sorted(output.glob("dead-*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_each_good_image_is_answered_once_and_each_bad_one_told(package, photos, bad, tmp_path):
    folder, kinds = bad
    summary = predict_batch(
        package,
        [str(photos / "*.png"), str(folder)],
        tmp_path / "out",
        batch_size=4,
        shard_size=7,
        **LIMITS,
    )
    rows = read_answers(tmp_path / "out")
    paths = sorted(photos.iterdir())
    assert sorted(row["id"] for row in rows) == [str(path) for path in paths]
    predictor = vislearn.load_predictor(package)
    for expected in predictor.predict_files(paths):
        row = next(row for row in rows if row["id"] == str(expected.path))
        np.testing.assert_allclose(row["scores"], expected.answers["scores"], atol=1e-6)
        assert (row["class_id"], row["label"]) == (expected.answers["class_id"], expected.label)
    dead = {row["id"]: row for row in read_dead(tmp_path / "out")}
    assert {id: row["kind"] for id, row in dead.items()} == {
        str(folder / name): kind for name, kind in kinds.items()
    }
    assert "truncated" in dead[str(folder / "cut.png")]["reason"]
    assert "1000 x 1001 pixels" in dead[str(folder / "wide.png")]["reason"]
    assert "limit of 1,048,576" in dead[str(folder / "heavy.png")]["reason"]
    assert summary.shards == 4
    assert (summary.answered, summary.answered_now) == (COUNT, COUNT)
    assert summary.dead == {"unreadable": 1, "too_large": 2, "wrong_type": 2, "failed": 0}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert not {name for name in names if name.startswith("parts")}
    about = json.loads(
        parquet.read_schema(tmp_path / "out" / "answers-00000-of-00004.parquet").metadata[
            b"vislearn"
        ]
    )
    assert about["classes"] == list("abcde")


def test_a_shard_without_answers_has_columns(package, bad, tmp_path):
    predict_batch(package, [str(bad[0])], tmp_path / "out", **LIMITS)
    [path] = (tmp_path / "out").glob("answers-*.parquet")
    table = parquet.read_table(path)
    assert table.num_rows == 0
    assert table.column_names == ["id", "label", "scores", "class_id"]


@pytest.mark.parametrize("format", WRITERS)
def test_answers_of_several_axes(format, tmp_path):
    """Boxes and masks, as a detector and a segmenter give them."""
    answers = {
        "boxes": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "count": np.array([3, 1], np.int32),
        "mask": np.arange(30, dtype=np.int32).reshape(2, 5, 3),
    }
    outputs = [
        {"name": name, "shape": [None, *value.shape[1:]], "dtype": value.dtype.name}
        for name, value in answers.items()
    ]
    about = {"name": "both", "task": "detection", "classes": ["cat"], "outputs": outputs}
    path = tmp_path / "answers"
    with open(path, "wb") as file:
        writer = WRITERS[format](file, about)
        writer.write(["a", "b"], answers)
        writer.close()
    if format == "parquet":
        table = parquet.read_table(path)
        assert table["id"].to_pylist() == ["a", "b"]
        for name, value in answers.items():
            assert table[name].to_pylist() == value.tolist()
        return
    records = tfrecord.read_records(io.BytesIO(path.read_bytes()), 1000)
    rows = [tfrecord._example().FromString(record) for record in records]
    for index, row in enumerate(rows):
        features = {entry.key: entry.value for entry in row.features.feature}
        assert list(features["id"].bytes_list.value) == [b"ab"[index : index + 1]]
        assert list(features["boxes"].float_list.value) == answers["boxes"][index].ravel().tolist()
        assert list(features["mask"].int64_list.value) == answers["mask"][index].ravel().tolist()


def interrupt(monkeypatch, after: int):
    """Ends the run in its shard of this number, after some of its images."""
    reads = collections.Counter()
    read = PredictShard._pixels

    def stop(self, content):
        reads["images"] += 1
        if reads["images"] > after:
            raise RuntimeError("power cut")
        return read(self, content)

    monkeypatch.setattr(PredictShard, "_pixels", stop)


def test_interrupted_runs_go_on_where_they_stopped(package, photos, tmp_path, monkeypatch):
    def call(**options):
        return predict_batch(
            package, [str(photos)], tmp_path / "out", batch_size=2, shard_size=5, **options
        )

    with monkeypatch.context() as patch:
        interrupt(patch, after=13)
        with pytest.raises(RuntimeError, match="power cut"):
            call()
    before = finished(str(tmp_path / "out"))
    assert len(before) == 2  # of five, and a third half done
    assert any((tmp_path / "out" / "parts").iterdir())
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("answers-*")}
    assert len(times) == 2
    summary = call()
    assert summary.answered == COUNT
    assert summary.answered_now == COUNT - sum(record["answered"] for record in before.values())
    assert {path: path.stat().st_mtime_ns for path in times} == times
    ids = [row["id"] for row in read_answers(tmp_path / "out")]
    assert sorted(ids) == [str(path) for path in sorted(photos.iterdir())]
    assert call().answered_now == 0


@pytest.mark.parametrize("damage", ["cut", "removed", "never named"])
def test_half_a_shard_is_no_shard(damage, package, photos, tmp_path):
    def call():
        return predict_batch(package, [str(photos)], tmp_path / "out", shard_size=8)

    call()
    answers = tmp_path / "out" / "answers-00001-of-00003.parquet"
    if damage == "cut":
        answers.write_bytes(answers.read_bytes()[:-50])
    elif damage == "removed":
        answers.unlink()
    else:  # Ended between the answers and the word that the shard is finished.
        (tmp_path / "out" / "done-00001-of-00003.json").unlink()
    summary = call()
    assert (summary.answered_now, summary.answered) == (8, COUNT)
    assert len(read_answers(tmp_path / "out")) == COUNT


def test_dead_letters_of_a_mended_image_are_gone(package, photos, tmp_path):
    image = tmp_path / "in.png"
    image.write_text("no picture")
    predict_batch(package, [str(image)], tmp_path / "out")
    assert len(read_dead(tmp_path / "out")) == 1
    [done] = (tmp_path / "out").glob("done-*")
    done.unlink()
    image.write_bytes((photos / "00.png").read_bytes())
    assert predict_batch(package, [str(image)], tmp_path / "out").answered == 1
    assert read_dead(tmp_path / "out") == []


def test_another_run_is_refused(package, photos, bad, tmp_path):
    def call(inputs=photos, **options):
        return predict_batch(package, [str(inputs)], tmp_path / "out", **options)

    call()
    with pytest.raises(ValueError, match="holds another run: format was 'parquet' and is 'tfrec"):
        call(format="tfrecord")
    with pytest.raises(ValueError, match="inputs was 23 and is 5"):
        call(bad[0])
    with pytest.raises(ValueError, match="shard_size was 1024 and is 10"):
        call(shard_size=10)
    assert call(batch_size=3).answered_now == 0  # decides nothing about the answers


def poison(monkeypatch, path, harm) -> None:
    """Has `harm` alter the answers to batches that hold an image: they, and where it is."""
    image, predict = fit_image(read_image(path), 16), Predictor.predict

    def poisoned(self, images, size):
        answers, hit = predict(self, images, size), (images == image).all(axis=(1, 2, 3))
        if hit.any():
            harm(answers, hit)
        return answers

    monkeypatch.setattr(Predictor, "predict", poisoned)


def fail(answers, hit):
    raise RuntimeError("node 3 failed to invoke")


def spoil(answers, hit):
    answers["scores"][hit, 2] = np.nan


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize(
    ("harm", "reason"),
    [(fail, "RuntimeError: node 3 failed to invoke"), (spoil, "the answer 'scores' holds NaN")],
)
def test_an_image_that_has_no_answer_does_not_hold_up_the_others(
    harm, reason, batch_size, package, photos, tmp_path, monkeypatch
):
    expected = vislearn.load_predictor(package).predict_files(sorted(photos.glob("0*")))
    poison(monkeypatch, photos / "05.png", harm)
    inputs = [str(photos / "0*.png")]
    summary = predict_batch(package, inputs, tmp_path / "out", batch_size=batch_size)
    assert summary.dead == {"unreadable": 0, "too_large": 0, "wrong_type": 0, "failed": 1}
    [dead] = read_dead(tmp_path / "out")
    assert dead == {"id": str(photos / "05.png"), "kind": "failed", "reason": reason}
    rows = read_answers(tmp_path / "out")
    del expected[5]
    assert [row["id"] for row in rows] == [str(one.path) for one in expected]
    for row, one in zip(rows, expected, strict=True):
        np.testing.assert_allclose(row["scores"], one.answers["scores"], atol=1e-6)


def write_records(path, contents) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for content in contents:
            writer.write(content)


def example(**features: bytes) -> bytes:
    import tensorflow as tf

    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name.replace("__", "/"): tf.train.Feature(
                    bytes_list=tf.train.BytesList(value=[value])
                )
                for name, value in features.items()
            }
        )
    ).SerializeToString()


def test_records_in_and_out_are_those_of_tensorflow(package, tmp_path):
    import tensorflow as tf

    images = [encoded(Image.fromarray(pixels(seed))) for seed in range(5)]
    names = ("image__encoded", "image")
    records = [
        example(**{names[seed % 2]: image, "label": b"x"}) for seed, image in enumerate(images)
    ]
    source = tmp_path / "in.tfrecord-00000-of-00001"
    write_records(source, [*records, b"no example", example(other=b"x")])
    output = tmp_path / "out"
    summary = predict_batch(package, [str(source)], output, format="tfrecord", batch_size=2)
    assert summary.dead == {"unreadable": 0, "too_large": 0, "wrong_type": 2, "failed": 0}
    assert {row["id"] for row in read_dead(output)} == {f"{source}#5", f"{source}#6"}
    spec = {
        "id": tf.io.FixedLenFeature([], tf.string),
        "label": tf.io.FixedLenFeature([], tf.string),
        "scores": tf.io.FixedLenFeature([5], tf.float32),
        "class_id": tf.io.FixedLenFeature([], tf.int64),
    }
    [path] = output.glob("answers-*.tfrecord")
    rows = [tf.io.parse_single_example(row, spec) for row in tf.data.TFRecordDataset(str(path))]
    assert [row["id"].numpy().decode() for row in rows] == [f"{source}#{i}" for i in range(5)]
    files = [tmp_path / f"{seed}.png" for seed in range(5)]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(image)
    for row, expected in zip(
        rows, vislearn.load_predictor(package).predict_files(files), strict=True
    ):
        np.testing.assert_allclose(row["scores"], expected.answers["scores"], atol=1e-6)
        assert row["label"].numpy().decode() == expected.label


def test_each_record_file_is_a_shard(package, tmp_path):
    image = encoded(Image.fromarray(pixels(0)))
    for number in range(3):
        with open(tmp_path / f"{number}.tfrecord", "wb") as file:
            for _ in range(number + 1):
                tfrecord.write_record(file, tfrecord.encode_example({"image": image}))
    summary = predict_batch(package, [str(tmp_path / "*.tfrecord")], tmp_path / "out")
    assert (summary.shards, summary.answered) == (3, 6)
    for number in range(3):
        path = tmp_path / "out" / f"answers-{number:05d}-of-00003.parquet"
        ids = [f"{tmp_path / str(number)}.tfrecord#{index}" for index in range(number + 1)]
        assert parquet.read_table(path)["id"].to_pylist() == ids


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "csv"}, r"format='csv' must be one of \['parquet', 'tfrecord'\]"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"output": "out*"}, r"output='out\*' holds one of"),
        ({"runtime": "onnx"}, "'onnx' is not in this package"),
        ({"inputs": ["absent.png"]}, "matches no file"),
    ],
)
def test_wrong_arguments(options, message, package, photos, tmp_path):
    arguments = {"inputs": [str(photos)], "output": tmp_path / "out", **options}
    with pytest.raises(ValueError, match=message):
        predict_batch(package, **arguments)
    assert not (tmp_path / "out").exists()


def test_command(package, photos, bad, tmp_path):
    arguments = ["predict-batch", package, "--input", photos, "--input", bad[0] / "text.png"]
    result = CliRunner().invoke(
        app,
        [*map(str, arguments), "--output", str(tmp_path / "out"), "--", "--job_name=letters"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    rows = dict(line.rsplit(maxsplit=1) for line in result.stdout.splitlines()[1:6])
    assert {name.strip(): number for name, number in rows.items()} == {
        "answered": "23",
        "unreadable": "0",
        "too large": "0",
        "wrong type": "1",
        "failed": "0",
    }


@pytest.mark.parametrize(
    ("options", "threads"),
    [
        (["--runtime", "savedmodel"], None),
        (["--runtime", "onnx"], 1),
        ([], 1),
        (["--threads", "3"], 3),
    ],
)
def test_threads_are_those_that_the_runtime_takes(options, threads, package, monkeypatch, tmp_path):
    asked = []

    def load(package, runtime, threads):
        asked.append(threads)
        raise ValueError("far enough")

    monkeypatch.setattr(pipeline, "load_predictor", load)
    arguments = ["predict-batch", str(package), "--input", "x", "--output", str(tmp_path / "out")]
    result = CliRunner().invoke(app, [*arguments, *options])
    assert "far enough" in str(result.exception)
    assert asked == [threads]


@pytest.mark.slow
def test_savedmodel(photos, tmp_path):
    model = vislearn.create_model("resnet20_cifar", **vislearn.model_info("resnet20_cifar").tiny)
    task = Classification(tuple("abcde"))
    vislearn.export_model(model, tmp_path / "letters", task=task, formats=["savedmodel"])
    arguments = [
        "predict-batch",
        tmp_path / "letters",
        "--input",
        photos,
        "--output",
        tmp_path / "out",
    ]
    arguments = [*map(str, arguments), "--runtime", "savedmodel"]
    CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert len(read_answers(tmp_path / "out")) == COUNT


def test_command_without_beam(package, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "vislearn_batch", None)
    arguments = ["predict-batch", str(package), "--input", "x", "--output", str(tmp_path / "out")]
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'vislearn\[batch\]'"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_needs_neither_keras_nor_tensorflow(package, photos, tmp_path):
    code = (
        "import sys\n"
        "from vislearn_batch import predict_batch\n"
        f"predict_batch({str(package)!r}, [{str(photos)!r}], {str(tmp_path / 'out')!r})\n"
        "heavy = {'keras', 'tensorflow', 'jax', 'torch', 'matplotlib'} & {*sys.modules}\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
def test_a_killed_run_goes_on(package, photos, tmp_path):
    """Killed with all its workers, without a chance to tidy up."""
    many = tmp_path / "many"
    many.mkdir()
    for number in range(3000):
        (many / f"{number:04d}.png").symlink_to(photos / f"{number % COUNT:02d}.png")
    output = tmp_path / "out"
    arguments = ["predict-batch", package, "--input", many, "--output", output]
    process = subprocess.Popen(
        [sys.executable, "-m", "vislearn.cli", *map(str, arguments), "--shard-size", "50"],
        start_new_session=True,
    )
    while process.poll() is None and not [*output.glob("done-*")]:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    done = len(finished(str(output)))
    assert 1 <= done < 60
    summary = predict_batch(package, [str(many)], output, shard_size=50)
    assert (summary.answered, summary.answered_now) == (3000, 3000 - 50 * done)
    ids = [row["id"] for row in read_answers(output)]
    assert sorted(ids) == sorted(str(path) for path in many.iterdir())


@pytest.mark.slow
def test_several_workers(package, photos, tmp_path):
    summary = predict_batch(package, [str(photos)], tmp_path / "out", shard_size=3, workers=2)
    assert summary.answered == COUNT
    assert len({row["id"] for row in read_answers(tmp_path / "out")}) == COUNT


@pytest.mark.slow
def test_the_protocol_of_other_runners(package, photos, tmp_path):
    """Beam's own job server speaks what those of Flink and Spark speak."""
    summary = predict_batch(
        package,
        [str(photos)],
        tmp_path / "out",
        shard_size=8,
        runner="PortableRunner",
        options=["--job_endpoint=embed", "--environment_type=LOOPBACK"],
    )
    assert summary.answered == COUNT
