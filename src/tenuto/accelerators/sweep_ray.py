"""Points of a sweep on a Ray cluster; the trace lies in its object store once, not in each task."""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tenuto.accelerators.sweep import Point, trace_of
from tenuto.errors import HardwareError, MissingExtraError
from tenuto.traces.schema import Trace

Run = Callable[[Sequence[Point]], Iterator[dict[str, Any]]]
"""Simulates points of one trace, and gives each result as soon as it is there."""
_ANSWER_S = 5.0


@contextmanager
def ray_runner(address: str, result: Callable[[Point, Trace], dict[str, Any]]) -> Iterator[Run]:
    """Connect to a running cluster for as long as the context lasts.

    Args:
        address: host:port of its head, or "auto" for the one that runs on this machine.
        result: What a task does.

    Raises:
        MissingExtraError: Ray is not installed.
        HardwareError: Nothing answers at the address, or the cluster breaks off.
    """
    try:
        import ray  # pyright: ignore[reportMissingImports] - an extra
    except ImportError:
        raise MissingExtraError(
            "`--ray` needs ray: pip install 'tenuto[ray]', or leave `--ray` out to use processes"
        ) from None
    _check_answers(address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise HardwareError(f"no Ray cluster answers at {address!r}: {error}") from None
    remote = ray.remote(result)

    def run(batch: Sequence[Point]) -> Iterator[dict[str, Any]]:
        shared = ray.put(trace_of(batch[0]))
        waiting = [remote.remote(point, shared) for point in batch]
        while waiting:
            (done,), waiting = ray.wait(waiting, num_returns=1)
            yield ray.get(done)

    try:
        yield run
    except ray.exceptions.RayError as error:  # pyright: ignore[reportAttributeAccessIssue]
        first = str(error).strip().splitlines()[0]
        raise HardwareError(
            f"the Ray cluster at {address!r} broke off ({first}); what was done is kept, and the "
            "same command goes on from there"
        ) from None
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Refuse within seconds what Ray would wait a minute for."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        if address != "auto":
            raise ValueError(f"`--ray` must be HOST:PORT or auto, got {address!r}")
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise HardwareError(f"no Ray cluster answers at {address!r}: {error}") from None
