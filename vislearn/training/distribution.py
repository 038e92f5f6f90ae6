"""Data parallel training: the devices of one host on both backends, several hosts on JAX.

Every device has a copy of the weights and works on its part of each batch; the gradients are
averaged, so that a step is that of one device on the whole batch (see docs/distributed.md). On JAX
it is `keras.distribution.DataParallel`, on TensorFlow `tf.distribute.MirroredStrategy`.
"""

import atexit
import contextlib
import dataclasses
import os
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np

from vislearn import backend
from vislearn.training.checkpoint import write_atomically

# The names that `keras.distribution.initialize` reads.
ENVIRONMENT = tuple(
    f"KERAS_DISTRIBUTION_{name}" for name in ("JOB_ADDRESSES", "PROCESS_ID", "NUM_PROCESSES")
)
HEARTBEAT = 30  # seconds of silence after which a host is taken for dead
CONNECTION = 300  # seconds that hosts wait for each other at the start


class HostLost(RuntimeError):
    """Another host of the run has died, or cannot be reached any more."""


@dataclasses.dataclass(frozen=True)
class Hosts:
    """The place of this process among those that train one network.

    Attributes:
        address: HOST:PORT of the first host, on which all of them meet.
        index: Number of this host, from 0. The first writes the run.
        count: How many there are.

    Raises:
        ValueError: If a value is out of range.
    """

    address: str
    index: int
    count: int

    def __post_init__(self):
        host, _, port = self.address.rpartition(":")
        if not host or not port.isdecimal():
            raise ValueError(f"hosts={self.address!r} must have the form HOST:PORT.")
        if self.count < 1:
            raise ValueError(f"host_count={self.count!r} must be at least 1.")
        if not 0 <= self.index < self.count:
            raise ValueError(f"host_index={self.index!r} must be 0 to {self.count - 1}.")

    @classmethod
    def given(
        cls, address: str | None = None, index: int | None = None, count: int | None = None
    ) -> "Hosts | None":
        """What is not given comes from the environment; None where nothing is.

        Raises:
            ValueError: If only a part is given.
        """
        names = ("hosts", "host_index", "host_count")
        found = {
            name: os.environ.get(variable) if value is None else value
            for name, variable, value in zip(
                names, ENVIRONMENT, (address, index, count), strict=True
            )
        }
        missing = [name for name, value in found.items() if value is None]
        if len(missing) == len(names):
            return None
        if missing:
            raise ValueError(f"{missing} must be given, too (or {list(ENVIRONMENT)}).")
        # Keras allows the addresses of all; the first is where they meet.
        first = found["hosts"].split(",")[0]
        return cls(first, int(found["host_index"]), int(found["host_count"]))


def start(devices: int | None = None, hosts: Hosts | None = None) -> None:
    """Sets up devices and hosts; to be called before the backend computes anything.

    Args:
        devices: Where there is no accelerator, into how many logical devices the CPU is divided.
        hosts: With whom to train; waits until all are there.

    Raises:
        ValueError: If the backend cannot train on several hosts.
    """
    if hosts is not None and backend.is_tensorflow():
        raise ValueError("hosts: training on several hosts needs JAX; set KERAS_BACKEND=jax.")
    if devices is not None and devices > 1:
        backend.divide_cpu(devices)
    if hosts is None:
        return
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(
        hosts.address,
        hosts.count,
        hosts.index,
        initialization_timeout=CONNECTION,
        heartbeat_timeout_seconds=HEARTBEAT,
    )


class _Batches(keras.distribution.DataParallel):
    """Batches divided among devices, but whole on each while `whole` is set.

    The last batch of a validation set has any size, and need not be divisible.
    """

    whole = False

    def get_data_layout(self, data_shape):
        if not self.whole:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)


class _WholeValidation(keras.callbacks.Callback):
    """Lets each device of a JAX run validate on whole batches."""

    def __init__(self, batches: _Batches):
        super().__init__()
        self.batches = batches

    def on_test_begin(self, logs=None):
        self.batches.whole = True

    def on_test_end(self, logs=None):
        self.batches.whole = False


class Replicas:
    """The devices that a network is trained on.

    Args:
        devices: Devices of each host; None for all accelerators on JAX, where everything trains
            on several, and otherwise for one.

    Attributes:
        host_index, host_count: The place of this host.
        count: Devices of all hosts.

    Raises:
        ValueError: If the host has not so many devices.
    """

    def __init__(self, devices: int | None = None):
        names = backend.device_names()
        if devices is None:
            several = not backend.is_tensorflow() and not names[0].lower().startswith("cpu")
            devices = len(names) if several else 1
        if not 1 <= devices <= len(names):
            raise ValueError(f"devices={devices!r} must be 1 to {len(names)}: there are {names}.")
        self.host_index, self.host_count = backend.host_place()
        self.count = devices * self.host_count
        self._strategy = self._batches = None
        if self.count == 1:
            return
        if backend.is_tensorflow():
            self._strategy = backend.mirrored(names[:devices])
        else:
            self._batches = _Batches(
                devices=backend.devices_of_hosts(devices), auto_shard_dataset=False
            )

    @property
    def first(self) -> bool:
        """Whether this host writes the run."""
        return self.host_index == 0

    def describe(self) -> str:
        """What is to be said beside the machine; nothing where there is one device."""
        if self.count == 1:
            return ""
        hosts = f" of {self.host_count} hosts" if self.host_count > 1 else ""
        return f"; {self.count} devices{hosts}"

    def folder(self, out: Path) -> Path:
        """Where this host leaves the run: another one than the first in a place soon forgotten."""
        if self.first:
            return out
        self._scratch = tempfile.TemporaryDirectory(prefix="vislearn-")
        return Path(self._scratch.name)

    def scope(self):
        """Where network and trainer are to be built, restored and fitted."""
        found = self._strategy or self._batches
        return contextlib.nullcontext() if found is None else found.scope()

    def check(self, batch_size: int, accumulate: int = 1) -> None:
        """Sees that batches can be divided.

        Raises:
            ValueError: If they can't.
        """
        if batch_size % self.count:
            raise ValueError(
                f"batch_size={batch_size} must be a multiple of the {self.count} devices."
            )
        if self._strategy is not None and accumulate > 1:
            raise ValueError(
                f"accumulate={accumulate} needs one device on TensorFlow, or KERAS_BACKEND=jax."
            )

    def prepare(self, network: keras.Model, trainer: keras.Model) -> None:
        """Makes a replica's step on TensorFlow a part of the step of one device.

        Each layer of batch normalisation takes the statistics of the whole batch, and gradients are
        summed before they are clipped. On JAX arrays are global, and it is so by itself.

        Raises:
            ValueError: If the network has a training step of its own.
        """
        if self._strategy is None:
            return
        if trainer is not network:
            raise ValueError(
                f"devices={self.count}: on TensorFlow {network.name} trains on one device: name "
                "devices=1, or set KERAS_BACKEND=jax."
            )
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
        backend.sum_before_clipping(trainer.optimizer)

    def part_of(self, batches):
        """The part of each batch of a `tf.data.Dataset` that this host trains on.

        Every host makes the whole batch, since augmentation draws for all of its images at once.
        """
        if self.host_count == 1:
            return batches

        def part(*batch):
            def rows(tensor):
                size = tensor.shape[0] // self.host_count
                return tensor[self.host_index * size : (self.host_index + 1) * size]

            return keras.tree.map_structure(rows, batch)

        return batches.map(part)

    def callbacks(self) -> list[keras.callbacks.Callback]:
        """To be put before those that look at validation."""
        return [] if self._batches is None else [_WholeValidation(self._batches)]

    def share(self, path: Path) -> None:
        """Writes the first host's file, if it has one, to this path on every other host."""
        if self.host_count == 1:
            return
        from jax.experimental.multihost_utils import broadcast_one_to_all

        own = np.frombuffer(path.read_bytes(), np.uint8) if self.first and path.exists() else None
        size = int(broadcast_one_to_all(np.int32(-1 if own is None else len(own))))
        if size < 0:
            return
        found = broadcast_one_to_all(np.zeros(size, np.uint8) if own is None else own)
        if not self.first:
            write_atomically(path, lambda file: file.write(np.asarray(found).tobytes()))

    @contextlib.contextmanager
    def together(self):
        """Inside all hosts are needed; at the end they part.

        Raises:
            HostLost: If the connection to another host broke. The process then ends with status
                1, whatever it does until then. Where a device waits without noticing, JAX ends it
                after `HEARTBEAT` seconds, with a message of its own.
        """
        if self.host_count == 1:
            yield
            return
        import jax

        try:
            yield
        except (jax.errors.JaxRuntimeError, ValueError) as error:
            # Gloo's are of the second kind, as are errors that have nothing to do with hosts.
            if isinstance(error, ValueError) and "Gloo" not in str(error):
                raise
            atexit.register(_leave)
            raise HostLost(
                f"Another of the {self.host_count} hosts has died or cannot be reached. Start all "
                "of them again with --resume: they go on after the last whole epoch. "
                f"({str(error).splitlines()[0]})"
            ) from error
        jax.distributed.shutdown()


def _leave() -> None:
    """Ends a process that has lost a host: at its exit JAX would wait for that one, and abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)
