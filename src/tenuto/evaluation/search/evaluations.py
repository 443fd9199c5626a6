"""What a search has measured: a file of JSON lines that only grows, filled by a pool of processes.

A line is on the disk before its job counts as done. A last line that an interruption cut short is
dropped, and its job done again.
"""

import json
import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from tenuto.errors import ResultError
from tenuto.evaluation.samples import Progress
from tenuto.evaluation.search.worker import Found, Job, Site, begin, perform


class Evaluations:
    """Finished jobs by key, and the processes that do the others."""

    def __init__(self, site: Site, num_workers: int, progress: Progress) -> None:
        """Read what the search's folder holds; processes start with the first job.

        Args:
            site: What every process knows.
            num_workers: Processes, >= 1.
            progress: Called after each job.

        Raises:
            ResultError: The folder holds another search.
            ValueError: `num_workers` is below 1.
        """
        if num_workers < 1:
            raise ValueError(f"`--workers` must be at least 1, got {num_workers!r}")
        self._site, self._num_workers, self._progress = site, num_workers, progress
        self._pool: ProcessPoolExecutor | None = None
        self._path = site.folder / "evaluations.jsonl"
        self._of = _identity(site)
        self._found: dict[str, Found] = {}
        for line in _whole_lines(self._path):
            if line["of"] != self._of:
                raise ResultError(
                    f"`out` must be new or of the same search (model, steps, seed, scheduler, "
                    f"captions, gap), got {site.folder} with another one"
                )
            self._found[line["key"]] = line["found"]

    def __enter__(self) -> "Evaluations":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let running jobs end and start no further ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __getitem__(self, key: str) -> Found:
        """Return what a finished job found."""
        return self._found[key]

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of finished jobs that begin so, in the order in which they were done."""
        return [key for key in self._found if key.startswith(prefix)]

    def run(self, jobs: Iterable[Job]) -> None:
        """Do the jobs that are not done yet; returns when all are."""
        missing = {job.key: job for job in jobs if job.key not in self._found}
        if not missing:
            return
        if self._pool is None:
            # Spawned: a fork would inherit torch's threads in whatever state they are.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._num_workers, mp_context=context, initializer=begin, initargs=(self._site,)
            )
        waiting = {self._pool.submit(perform, job): job for job in missing.values()}
        for future in as_completed(waiting):
            try:
                found = future.result()
            except BrokenProcessPool:
                raise ResultError(
                    "a process of the search was ended from outside (memory?): the same command "
                    "goes on where it stopped"
                ) from None
            self._add(waiting[future].key, found)
            self._progress(waiting[future].measure.__name__.replace("_", " "))

    def _add(self, key: str, found: Found) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "of": self._of, "found": found}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._found[key] = found


def _identity(site: Site) -> str:
    facts: dict[str, Any] = {k: v for k, v in asdict(site).items() if k != "folder"}
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the file, and cut off a last one that was not finished.

    Raises:
        ResultError: A line before the last is broken.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    lines = []
    for number, text in enumerate(whole.splitlines(), 1):
        try:
            line = json.loads(text)
            lines.append({name: line[name] for name in ("key", "of", "found")})
        except (ValueError, KeyError, TypeError):
            raise ResultError(f"line {number} of {path.name} must be an evaluation") from None
    return lines
