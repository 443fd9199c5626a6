"""Measure compositions, round by round, until none is foretold to win."""

from tenuto.evaluation.search.additive import Measured
from tenuto.evaluation.search.choose import Target
from tenuto.evaluation.search.measuring import Measuring
from tenuto.evaluation.search.parts import Parts
from tenuto.evaluation.search.propose import candidates, promising
from tenuto.evaluation.search.setting import Setting


class Composer:
    """What is known of compositions; grows with every target."""

    def __init__(self, measuring: Measuring, parts: Parts, most: int) -> None:
        """Compose nothing yet.

        Args:
            measuring: Measures.
            parts: Every technique alone, and the model.
            most: Compositions that are measured for one target at most, >= 0.
        """
        self._measuring, self._model, self._most = measuring, parts.model, most
        self._candidates = candidates(parts.model, parts.schedules)
        self._foreseen: dict[Setting, float] = {}
        self.measured: list[Measured] = list(parts.corners)

    def compose(self, target: Target) -> list[Measured]:
        """Measure what may meet a target; return everything measured so far."""
        left = self._most
        while left > 0:
            self._model.learn(self._foreseen, self.measured)
            found = promising(self._model, self._candidates, self.measured, target)[:left]
            if not found:
                break
            self._foreseen |= {candidate.setting: candidate.foreseen for candidate in found}
            settings = [candidate.setting for candidate in found]
            self.measured += self._measuring.settings(settings, self._measuring.searched)
            left -= len(found)
        return self.measured
