"""From a package and images to answers in files, on any of Beam's runners."""

import contextlib
import dataclasses
import logging
import shlex
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from vislearn.data.images import MAX_PIXELS
from vislearn.export import load_predictor
from vislearn.export.package import files_of
from vislearn_batch.answers import WRITERS
from vislearn_batch.job import PARTS, Job, Shard, Summary, count_done, finished, plan, read_summary
from vislearn_batch.records import is_tfrecord, list_inputs
from vislearn_batch.worker import PredictShard

LOCAL = "DirectRunner"


def predict_batch(
    package: str | Path,
    inputs: Sequence[str],
    output: str | Path,
    *,
    format: str = "parquet",
    runtime: str = "litert",
    batch_size: int = 64,
    shard_size: int = 1024,
    threads: int | None = None,
    workers: int = 1,
    max_bytes: int = 32 << 20,
    max_pixels: int = MAX_PIXELS,
    runner: str = LOCAL,
    options: Sequence[str] = (),
) -> Summary:
    """Answers many images, and writes the answers into shards.

    A call that was interrupted is continued by the same call: finished shards are skipped.

    Args:
        package: Folder of an exported package that takes images; each worker has to find it there.
        inputs: Image files, TFRecord files, patterns of either, or folders of images. Paths may be
            of any file system that Beam reads, as may `output`.
        output: Folder of the answers; see `job` for what lies in it.
        format: `"parquet"` or `"tfrecord"`.
        runtime: Format of the package to run; see `load_predictor`.
        batch_size: Images that are run at a time.
        shard_size: Image files a shard; a TFRecord file is a shard of its own.
        threads: Threads of each worker's interpreter; None for one. Must be None for
            `"savedmodel"`, where TensorFlow sets them.
        workers: Processes of the direct runner. On others their own options say it.
        max_bytes, max_pixels: Larger images are not answered, but refused.
        runner: Name of the runner, such as `"FlinkRunner"`.
        options: Options of Beam and of the runner, such as `"--flink_master=localhost:8081"`.

    Returns:
        The counts of the whole run.

    Raises:
        ValueError: If an argument is out of range, the inputs are none, or `output` holds another
            run.
        PackageError: If the package is damaged.
        RuntimeError: If the pipeline failed; what is finished stays.
    """
    if format not in WRITERS:
        raise ValueError(f"format={format!r} must be one of {sorted(WRITERS)}.")
    limits = {"batch_size": batch_size, "shard_size": shard_size, "workers": workers}
    for name, value in {**limits, "max_bytes": max_bytes, "max_pixels": max_pixels}.items():
        if value < 1:
            raise ValueError(f"{name}={value!r} must be at least 1.")
    if set("*?[") & set(str(output)):
        raise ValueError(f"output={str(output)!r} holds one of * ? [, which name patterns.")
    if threads is None and runtime != "savedmodel":
        threads = 1
    predictor = load_predictor(package, runtime, threads=threads)  # Finds what is wrong at once.
    if not predictor.takes_images:
        raise ValueError(
            f"{package} takes {[item['name'] for item in predictor.inputs]}, no images."
        )
    files = {
        name: predictor.manifest["files"][name] for name in files_of(predictor.manifest, runtime)
    }
    job = Job(
        package=str(Path(package).absolute()),
        output=str(output),
        format=format,
        runtime=runtime,
        threads=threads,
        batch_size=batch_size,
        max_bytes=max_bytes,
        max_pixels=max_pixels,
    )
    paths = list_inputs(list(inputs))
    if is_tfrecord(paths[0]):
        shard_size = 1
    shards = plan(job, paths, shard_size, {"model": predictor.name, "files": files})
    done = finished(job.output)
    pending = [shard for shard in shards if shard.number not in done]
    start = time.monotonic()
    if pending:
        with _progress(job.output, len(shards)):
            _run(job, pending, *_runner(runner, workers, options))
    left = len(shards) - len(finished(job.output))
    if left:
        raise RuntimeError(f"{left} of {len(shards)} shards are not finished; run it again.")
    parts = FileSystems.join(job.output, PARTS)
    if FileSystems.exists(parts):
        FileSystems.delete([parts])
    summary = read_summary(job.output)
    before = sum(record["answered"] for record in done.values())
    return dataclasses.replace(
        summary, answered_now=summary.answered - before, seconds=time.monotonic() - start
    )


def _runner(name: str, workers: int, options: Sequence[str]):
    """The runner and its options.

    Beam's direct runner would first try the Prism runner, a program that it downloads: the one that
    runs in Python is taken by its class.
    """
    if name != LOCAL:
        return name, PipelineOptions([*options, f"--runner={name}"])
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner, fn_runner
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    environment = None
    if workers > 1:
        # What Beam does for the mode `multi_processing`, which takes no other command than its own.
        command = shlex.join([sys.executable, "-m", "vislearn_batch.process"])
        environment = SubprocessSDKEnvironment.from_command_string(command)
        logging.getLogger(fn_runner.__name__).addFilter(_not_of_the_mode)
    return FnApiRunner(environment), PipelineOptions([f"--direct_num_workers={workers}", *options])


def _not_of_the_mode(record: logging.LogRecord) -> bool:
    """Leaves out the warning that without a mode workers are no processes: here they are."""
    return "direct_running_mode" not in str(record.msg)


def _run(job: Job, shards: list[Shard], runner, options: PipelineOptions) -> None:
    pipeline = beam.Pipeline(runner=runner, options=options)
    _ = (
        pipeline
        | "Shards" >> beam.Create(shards)
        | "Spread over workers" >> beam.Reshuffle()
        | "Predict" >> beam.ParDo(PredictShard(job))
    )
    pipeline.run().wait_until_finish()


@contextlib.contextmanager
def _progress(output: str, shards: int) -> Iterator[None]:
    """Shows a bar of the finished shards, wherever they are computed."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("Shards", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    ended = threading.Event()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=shards)

        def follow() -> None:
            while not ended.wait(1):
                progress.update(bar, completed=count_done(output))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            progress.update(bar, completed=count_done(output))
