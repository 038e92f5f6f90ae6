"""What the pipeline for many images reads: files that are named, and the records in them."""

import gzip
import io
import os
import struct
import time

import pytest
from apache_beam.io.filesystem import BeamIOError
from apache_beam.io.filesystems import FileSystems
from vislearn_batch import tfrecord
from vislearn_batch.records import list_inputs, read_images


def test_damaged_records(tmp_path):
    file = io.BytesIO()
    for content in (b"first", b"second", b"third"):
        tfrecord.write_record(file, content)
    whole = file.getvalue()
    assert list(tfrecord.read_records(io.BytesIO(whole), 1000)) == [b"first", b"second", b"third"]

    def read(content: bytes) -> list[str]:
        return [str(record) for record in tfrecord.read_records(io.BytesIO(content), 1000)]

    start = len(whole) // 3 + 4  # in the second record
    flipped = bytearray(whole)
    flipped[whole.index(b"second")] ^= 1
    assert read(bytes(flipped)) == ["b'first'", "the content has another checksum", "b'third'"]
    flipped = bytearray(whole)
    flipped[whole.index(b"second") - 12] ^= 1
    assert read(bytes(flipped)) == ["b'first'", "the length of the record is damaged"]
    assert read(whole[: whole.index(b"second") + 3])[1:] == ["the file ends within the record"]
    assert read(whole[:start]) == ["b'first'", "the length of the record is damaged"]


def test_a_record_that_is_too_large_is_not_held(tmp_path):
    """Not even where its length is a lie that has the right checksum."""
    path, image = tmp_path / "a.tfrecord", os.urandom(3000)
    length = struct.pack("<Q", 1 << 40)
    with open(path, "wb") as file:
        tfrecord.write_record(file, tfrecord.encode_example({"image": bytes(2 << 20)}))
        tfrecord.write_record(file, tfrecord.encode_example({"image": image, "other": bytes(9999)}))
        file.write(length + struct.pack("<I", tfrecord._masked_crc(length)) + bytes(5000))
    large, whole, liar = read_images(str(path), 10_000)
    assert whole == (f"{path}#1", image)
    for (id, refused), number in ((large, 0), (liar, 2)):
        assert (id, refused.kind) == (f"{path}#{number}", "too_large")
    assert "a record of 1,099,511,627,776 bytes; the limit is 1,058,576" in liar[1].reason


def compressed(images) -> bytes:
    file = io.BytesIO()
    for image in images:
        tfrecord.write_record(file, tfrecord.encode_example({"image": image}))
    return gzip.compress(file.getvalue())


def test_compressed_records(tmp_path):
    path = tmp_path / "a.tfrecord.gz"
    images = [b"first", b"second", b"third"]
    path.write_bytes(compressed(images))
    assert list(read_images(str(path), 10_000)) == [
        (f"{path}#{number}", image) for number, image in enumerate(images)
    ]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        ("head", "Not a gzipped file"),
        ("block", "invalid block type"),
        ("sum", "CRC check failed"),
        ("cut", "ended before the end-of-stream marker"),
    ],
)
def test_damaged_compression_is_told_and_what_came_before_is_kept(
    damage, reason, tmp_path, monkeypatch
):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("read again"))
    path, images = tmp_path / "a.tfrecord.gz", [b"first", b"second", b"third"]
    content = bytearray(compressed(images))
    if damage == "head":
        content[0] ^= 1
    elif damage == "block":
        content[10] |= 6  # a type that there is not
    elif damage == "sum":
        content[-6] ^= 1
    else:
        del content[-4:]
    path.write_bytes(compressed(images) + content)  # as `cat` puts two files together
    *good, (id, refused) = read_images(str(path), 10_000)
    assert [image for _, image in good] == images * (1 + (damage in ("sum", "cut")))
    assert (id, refused.kind) == (f"{path}#{len(good)}", "unreadable")
    assert reason in refused.reason


@pytest.mark.parametrize("failures", [2, 3])
@pytest.mark.parametrize(("name", "good_reads"), [("a.png", 0), ("a.tfrecord", 3)])
def test_a_file_system_that_fails_for_a_moment_is_asked_again(
    name, good_reads, failures, tmp_path, monkeypatch
):
    path, opened, waited = str(tmp_path / name), [], []
    file = io.BytesIO()
    for image in (b"first", b"second"):
        tfrecord.write_record(file, tfrecord.encode_example({"image": image}))
    expected = [(f"{path}#0", b"first"), (f"{path}#1", b"second")]
    if name == "a.png":
        expected = [(path, file.getvalue())]

    class Remote(io.BytesIO):
        reads = 0

        def read(self, size):
            self.reads += 1
            if self.reads > good_reads and len(opened) <= failures:
                raise BeamIOError("503 Service Unavailable")
            return super().read(size)

    def open_remote(path):
        opened.append(path)
        return Remote(file.getvalue())

    monkeypatch.setattr(FileSystems, "open", open_remote)
    monkeypatch.setattr(time, "sleep", waited.append)
    *found, (id, last) = read_images(path, 10_000)
    assert [*found, id] == [*expected[:-1], expected[-1][0]]
    assert (len(opened), waited) == (3, [1.0, 4.0])
    if failures == 2:
        assert last == expected[-1][1]
    else:
        assert last.kind == "unreadable"
        assert "503 Service Unavailable" in last.reason


def test_a_file_that_is_not_there_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("read again"))
    [(id, refused)] = read_images(str(tmp_path / "absent.png"), 10_000)
    assert id == str(tmp_path / "absent.png")
    assert (refused.kind, refused.reason) == ("unreadable", "No such file or directory")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number:02d}.png").touch()
    return folder


@pytest.mark.parametrize("pattern", ["*.png", "**.png", "*[0-9].png", "??.png"])
def test_patterns_without_a_folder(pattern, photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert list_inputs([pattern, "03.png"]) == [path.name for path in sorted(photos.iterdir())]


def test_patterns_of_folders(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert list_inputs(["ph*/0*.png"]) == [f"photos/{number:02d}.png" for number in range(10)]


def test_inputs(photos, tmp_path):
    names = [str(path) for path in sorted(photos.iterdir())]
    assert list_inputs([str(photos)]) == names
    assert list_inputs([str(photos / "0*.png"), names[3]]) == names[:10]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").touch()
    with pytest.raises(ValueError, match=r"notes' holds no image: \.bmp"):
        list_inputs([str(tmp_path / "notes")])
    odd = tmp_path / "photo[1].png"
    odd.touch()
    assert list_inputs([str(odd)]) == [str(odd)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty' holds no image"):
        list_inputs([str(tmp_path / "empty")])
    with pytest.raises(ValueError, match=r"absent.* matches no file"):
        list_inputs([str(tmp_path / "absent")])
    (tmp_path / "a.tfrecord").touch()
    with pytest.raises(ValueError, match="image files and TFRecord files"):
        list_inputs([str(tmp_path / "*")])
    for name in ("a\nb.png", os.fsdecode(b"\xff.png")):
        (tmp_path / name).touch()
        with pytest.raises(ValueError, match="line break in its name, or is no UTF-8"):
            list_inputs([str(tmp_path / "*.png")])
        (tmp_path / name).unlink()
