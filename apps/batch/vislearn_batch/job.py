"""What a run is, how it is cut into shards, and which of them are finished.

In the output folder:

manifest.json                      what was asked for; another run with other answers is refused
inputs.txt                         the files, one a line; a shard is a range of these lines
answers-00002-of-00049.parquet     the answers of a shard
dead-00002-of-00049.jsonl          what could not be answered, with its reason, if there is any
done-00002-of-00049.json           written last: the shard is finished, and its files are these
parts/                             what is being written; removed at the end
"""

import collections
import dataclasses
import hashlib
import json
import uuid
from typing import Any

from apache_beam.io.filesystems import FileSystems

from vislearn_batch.records import KINDS

MANIFEST = "manifest.json"
INPUTS = "inputs.txt"
PARTS = "parts"
DONE = "done-*-of-*.json"


@dataclasses.dataclass(frozen=True)
class Job:
    """What is asked of each shard; travels to the workers.

    Attributes:
        package: Folder of the exported package; each worker has to find it there.
        output: Folder of the answers.
        format: `"parquet"` or `"tfrecord"`.
        runtime: Format of the package that is run, such as `"litert"`.
        threads: Threads of a worker's interpreter.
        batch_size: Images that are run at a time.
        max_bytes: Largest encoded image.
        max_pixels: Largest width times height.
    """

    package: str
    output: str
    format: str
    runtime: str
    threads: int | None
    batch_size: int
    max_bytes: int
    max_pixels: int


@dataclasses.dataclass(frozen=True)
class Shard:
    """A range of the list of inputs, the unit of work.

    Attributes:
        number: From 0.
        of: How many shards there are.
        offset, length: Its bytes in `inputs.txt`.
    """

    number: int
    of: int
    offset: int
    length: int

    @property
    def name(self) -> str:
        return f"{self.number:05d}-of-{self.of:05d}"


def plan(job: Job, paths: list[str], shard_size: int, identity: dict[str, Any]) -> list[Shard]:
    """Writes the manifest of a new run, or checks that of the one that is continued.

    Args:
        job: The run.
        paths: The inputs, sorted.
        shard_size: Files a shard.
        identity: What else decides the answers, such as the hash of the model.

    Returns:
        All shards, in order.

    Raises:
        ValueError: If the folder holds another run.
    """
    lines = [f"{path}\n".encode() for path in paths]
    starts = range(0, len(lines), shard_size)
    shards, offset = [], 0
    for number, start in enumerate(starts):
        length = sum(map(len, lines[start : start + shard_size]))
        shards.append(Shard(number, len(starts), offset, length))
        offset += length
    decides = ("format", "runtime", "max_bytes", "max_pixels")
    manifest = {
        **identity,
        **{name: getattr(job, name) for name in decides},
        "shard_size": shard_size,
        "inputs": len(paths),
        "inputs_sha256": hashlib.sha256(b"".join(lines)).hexdigest(),
    }
    path = FileSystems.join(job.output, MANIFEST)
    if FileSystems.exists(path):
        _check_same(job.output, json.loads(read(path)), manifest)
    else:
        write(job.output, INPUTS, b"".join(lines))
        write(job.output, MANIFEST, json.dumps(manifest, indent=2).encode())
    return shards


def _check_same(output: str, before: dict[str, Any], now: dict[str, Any]) -> None:
    differ = [
        f"{name} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in now
        if before.get(name) != now.get(name)
    ]
    if differ:
        raise ValueError(
            f"--output {output!r} holds another run: {'; '.join(differ)}. Give another folder, or "
            "remove it."
        )


def inputs_of(job: Job, shard: Shard) -> list[str]:
    """The files of a shard."""
    with FileSystems.open(FileSystems.join(job.output, INPUTS)) as file:
        file.seek(shard.offset)
        lines = file.read(shard.length).decode()
    return lines.removesuffix("\n").split("\n")


def finished(output: str) -> dict[int, dict[str, Any]]:
    """What is known of each finished shard whose files are all there, by its number."""
    sizes = _sizes(output, "*")
    found = {}
    for name in _sizes(output, DONE):
        record = json.loads(read(FileSystems.join(output, name)))
        if all(sizes.get(file) == size for file, size in record["files"].items()):
            found[record["shard"]] = record
    return found


def count_done(output: str) -> int:
    """How many shards say that they are finished; quicker than to look at their files."""
    return len(_sizes(output, DONE))


def _sizes(output: str, pattern: str) -> dict[str, int]:
    """Bytes of the files in the output folder, by name."""
    listed = FileSystems.match([FileSystems.join(output, pattern)])[0].metadata_list
    return {item.path.rsplit("/", 1)[-1]: item.size_in_bytes for item in listed}


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a run has come to.

    Attributes:
        shards: How many there are.
        answered: Images with an answer.
        dead: Records without one, by kind.
        answered_now, seconds: Images that this call answered, and the time it took.
    """

    shards: int
    answered: int
    dead: dict[str, int]
    answered_now: int = 0
    seconds: float = 0.0


def read_summary(output: str) -> Summary:
    """The counts of all finished shards."""
    records = finished(output).values()
    dead = collections.Counter()
    for record in records:
        dead.update(record["dead"])
    answered = sum(record["answered"] for record in records)
    return Summary(len(records), answered, {kind: dead[kind] for kind in KINDS})


def read(path: str) -> bytes:
    with FileSystems.open(path) as file:
        return file.read()


def write(output: str, name: str, content: bytes) -> None:
    """Writes a file into the output folder that is there wholly or not at all."""
    part = part_path(output)
    with FileSystems.create(part) as file:
        file.write(content)
    publish(output, part, name)


def part_path(output: str) -> str:
    """A path to write to; no two workers get the same."""
    return FileSystems.join(output, PARTS, uuid.uuid4().hex)


def publish(output: str, part: str, name: str) -> None:
    """Gives what was written its place, in one step."""
    FileSystems.rename([part], [FileSystems.join(output, name)])
