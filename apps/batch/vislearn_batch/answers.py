"""The files of a shard: answers as Parquet or TFRecord, and what could not be answered."""

import collections
import json
import time
from typing import Any, BinaryIO

import numpy as np
from apache_beam.io.filesystems import FileSystems

from vislearn_batch import tfrecord
from vislearn_batch.job import Job, Shard, part_path, publish, write

# Parquet is written in groups of rows; a group ends when it has grown to this.
GROUP_BYTES = 32 << 20


class ParquetWriter:
    """Rows of `id`, of `label` in words where there is a class, and of each named output.

    An output of several values is a list of fixed size, of as many levels as it has axes. The
    schema's metadata `vislearn` names the model, its task and its classes, as JSON.
    """

    def __init__(self, file: BinaryIO, manifest: dict[str, Any]):
        self._file, self._manifest = file, manifest
        about = {name: manifest[name] for name in ("name", "task", "classes")}
        self._metadata = {"vislearn": json.dumps(about)}
        self._writer, self._group = None, []

    def write(self, ids: list[str], answers: dict[str, np.ndarray]) -> None:
        import pyarrow as pa

        columns = {"id": pa.array(ids, pa.string())}
        if "class_id" in answers:
            labels = [self._manifest["classes"][number] for number in answers["class_id"]]
            columns["label"] = pa.array(labels, pa.string())
        for name, value in answers.items():
            column = pa.array(value.ravel())
            for size in reversed(value.shape[1:]):
                column = pa.FixedSizeListArray.from_arrays(column, size)
            columns[name] = column
        self._group.append(pa.table(columns).replace_schema_metadata(self._metadata))
        if sum(table.nbytes for table in self._group) >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        table = pa.concat_tables(self._group)
        if self._writer is None:
            self._writer = parquet.ParquetWriter(self._file, table.schema)
        self._writer.write_table(table)
        self._group = []

    def close(self) -> None:
        if self._writer is None and not self._group:  # A file without rows has columns, too.
            outputs = self._manifest["outputs"]
            none = {
                item["name"]: np.zeros((0, *item["shape"][1:]), item["dtype"]) for item in outputs
            }
            self.write([], none)
        if self._group:
            self._write_group()
        self._writer.close()
        self._file.close()


class RecordWriter:
    """A `tf.train.Example` an image: `id`, `label` if there is a class, each output, flat."""

    def __init__(self, file: BinaryIO, manifest: dict[str, Any]):
        self._file, self._classes = file, manifest["classes"]

    def write(self, ids: list[str], answers: dict[str, np.ndarray]) -> None:
        for index, id in enumerate(ids):
            row = {name: value[index] for name, value in answers.items()}
            if "class_id" in row:
                row["label"] = self._classes[row["class_id"]].encode()
            example = tfrecord.encode_example({"id": id.encode(), **row})
            tfrecord.write_record(self._file, example)

    def close(self) -> None:
        self._file.close()


WRITERS = {"parquet": ParquetWriter, "tfrecord": RecordWriter}


class ShardFiles:
    """What a shard writes; nothing of it has its name in the output folder before `commit`."""

    def __init__(self, job: Job, shard: Shard, manifest: dict[str, Any]):
        self._job, self._shard, self._start = job, shard, time.monotonic()
        self._part = part_path(job.output)
        self._writer = WRITERS[job.format](FileSystems.create(self._part), manifest)
        self._answered, self._kinds, self._dead = 0, collections.Counter(), []

    def answer(self, ids: list[str], answers: dict[str, np.ndarray]) -> None:
        """Adds the answers to a batch of images."""
        self._writer.write(ids, answers)
        self._answered += len(ids)

    def refuse(self, id: str, kind: str, reason: str) -> None:
        """Adds a record that can't be answered to the dead letters."""
        self._dead.append(json.dumps({"id": id, "kind": kind, "reason": reason}) + "\n")
        self._kinds[kind] += 1

    def commit(self) -> dict[str, Any]:
        """Gives the files their names, and then says that the shard is finished.

        Whoever dies before has left nothing that counts: the shard is done again, and its files are
        replaced by the same.

        Returns:
            What the shard's `done` file holds.
        """
        self._writer.close()
        job, name = self._job, self._shard.name
        answers, dead = f"answers-{name}.{job.format}", f"dead-{name}.jsonl"
        sizes = {answers: FileSystems.match([self._part])[0].metadata_list[0].size_in_bytes}
        publish(job.output, self._part, answers)
        if self._dead:
            content = "".join(self._dead).encode()
            write(job.output, dead, content)
            sizes[dead] = len(content)
        elif FileSystems.exists(FileSystems.join(job.output, dead)):
            # Of an attempt that died here, when the images were not mended yet.
            FileSystems.delete([FileSystems.join(job.output, dead)])
        record = {
            "shard": self._shard.number,
            "answered": self._answered,
            "dead": dict(self._kinds),
            "seconds": round(time.monotonic() - self._start, 3),
            "files": sizes,
        }
        write(job.output, f"done-{name}.json", json.dumps(record).encode())
        return record
