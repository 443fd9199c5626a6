"""A progress bar on the error stream."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress_bar(total: int | None) -> Iterator[Callable[[str], None]]:
    """A progress bar on the error stream; the function steps it and names what was done."""
    from tqdm import tqdm

    with tqdm(total=total, file=sys.stderr, unit="run", dynamic_ncols=True) as bar:

        def step(done: str) -> None:
            bar.set_description_str(done[:40])
            bar.update()

        yield step
