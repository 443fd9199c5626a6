"""Where the recorders of all transformers of a pipeline write: one trace, one count of steps."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from tenuto.integration.live_tiles import BlockPacker
from tenuto.integration.steps import Moment
from tenuto.integration.trace_samples import Samples
from tenuto.traces.writer import TraceWriter


class TraceSink:
    """An open trace, with what its recorders share."""

    def __init__(self, writer: TraceWriter, pack_every: int) -> None:
        """Take an open writer.

        Args:
            writer: Its manifest tells tile rows and seed, and is completed by `finish`.
            pack_every: See `BlockPacker`.
        """
        self.writer = writer
        self.packer = BlockPacker(pack_every)
        self.samples = Samples(writer.manifest.seed)
        self._inputs: tuple[str, ...] = ()
        self._place: object = None
        self._num_runs = 0
        self._num_steps = 0
        self._num_blocks = 0

    @property
    def tile_rows(self) -> int:
        """Rows of a tile."""
        return self.writer.manifest.tile_rows

    def add_blocks(self, num_blocks: int) -> int:
        """Count the blocks of one more transformer; returns the number of its first."""
        first, self._num_blocks = self._num_blocks, self._num_blocks + num_blocks
        return first

    def step_of(self, model_id: int, moment: Moment) -> int:
        """Return the step in the trace: runs and transformers that follow one another go on."""
        self._num_runs += moment.is_new_run
        place = (model_id, self._num_runs, moment.step_index)
        if place != self._place:
            self._place = place
            self._num_steps += 1
        return self._num_steps - 1

    def see_inputs(self, inputs: Mapping[str, Any]) -> None:
        """Note the arguments of the run's first call."""
        if self._inputs:
            return
        self._inputs = tuple(
            f"{name} {'x'.join(map(str, value.shape)) or 'scalar'} {str(value.dtype)[6:]}"
            for name, value in inputs.items()
            if isinstance(value, Tensor)
        )

    def finish(self) -> None:
        """Hand over samples, and what only the run could tell."""
        self.samples.write(self.writer)
        self.writer.manifest = replace(
            self.writer.manifest,
            num_steps=max(self._num_steps, 1),
            num_blocks=max(self._num_blocks, 1),
            inputs=self._inputs,
        )
