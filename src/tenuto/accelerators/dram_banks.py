"""A DRAM channel bank by bank: when each read can be served, command after command.

First-ready, first-come scheduling over a queue of 32, open rows, all-bank refresh. One command a
cycle. Reads only: writes behave alike at this level but for the turn of the bus, which long runs
amortize.

It replaces no cycle-level DRAM simulator: a diffusion run moves terabytes. Its use is the table of
efficiencies that the fast mode (`tenuto.accelerators.dram`) reads.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tenuto.accelerators.compiled import njit
from tenuto.hardware import DramKind

BURST_BYTES = 32
QUEUE_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DramTiming:
    """One channel; times in cycles of its command clock.

    Attributes:
        cycle_ns: Of the command clock.
        burst: Of the data bus for 32 bytes.
        column_same_group, column_other_group: From read to read.
        activate_to_read, read_to_precharge, precharge, row_open, row_cycle: Of one bank.
        activate_to_activate: Of any two banks.
        four_activates: Window that holds at most four activations.
        refresh, refresh_interval: All banks are refreshed once an interval.
        row_bytes, num_groups, banks_per_group: Organization.
        activate_slots: Commands an activation takes on the command bus.
        source: Where the numbers are from.
    """

    cycle_ns: float
    burst: int
    column_same_group: int
    column_other_group: int
    activate_to_read: int
    read_to_precharge: int
    precharge: int
    row_open: int
    row_cycle: int
    activate_to_activate: int
    four_activates: int
    refresh: int
    refresh_interval: int
    row_bytes: int
    num_groups: int = 4
    banks_per_group: int = 4
    activate_slots: int = 1
    source: str

    @property
    def peak_bytes_per_cycle(self) -> float:
        """Of the data bus."""
        return BURST_BYTES / self.burst


TIMINGS: dict[DramKind, DramTiming] = {
    "lpddr5": DramTiming(
        cycle_ns=1.25, burst=2, column_same_group=4, column_other_group=2, activate_to_read=15,
        read_to_precharge=8, precharge=15, row_open=34, row_cycle=49, activate_to_activate=4,
        four_activates=16, refresh=224, refresh_interval=3125, row_bytes=2048, activate_slots=2,
        source="LPDDR5-6400, 16 Gb x16 (JESD209-5 values as Ramulator 2.1's preset lists them)",
    ),
    "gddr6": DramTiming(
        cycle_ns=0.57, burst=2, column_same_group=4, column_other_group=2, activate_to_read=30,
        read_to_precharge=4, precharge=30, row_open=60, row_cycle=90, activate_to_activate=11,
        four_activates=43, refresh=211, refresh_interval=3333, row_bytes=2048,
        source="GDDR6 14 Gb/s, 8 Gb x16 at 1.25 V (vendor values as Ramulator 2.1's preset lists)",
    ),
    "hbm2e": DramTiming(
        cycle_ns=0.625, burst=2, column_same_group=4, column_other_group=2, activate_to_read=23,
        read_to_precharge=8, precharge=23, row_open=54, row_cycle=76, activate_to_activate=7,
        four_activates=24, refresh=560, refresh_interval=6240, row_bytes=1024,
        source="HBM2 times in ns (JESD235) at 3.2 Gb/s, a pseudo-channel; not held to a reference",
    ),
}  # fmt: skip


def read_cycles(
    timing: DramTiming, addresses: NDArray[np.int64], *, interleaves_groups: bool = True
) -> int:
    """Return the cycles from the first request to the last read command.

    Args:
        timing: Of the channel.
        addresses: Byte addresses in order of arrival, one a cycle while the queue has room; each is
            one burst of 32 bytes.
        interleaves_groups: Neighbouring bursts go to different bank groups, so that a run can use
            the whole bus; else they fill a row first (the mapping of the reference counts). Banks
            and rows come above in both.
    """
    burst, bursts_of_row = addresses // BURST_BYTES, timing.row_bytes // BURST_BYTES
    if interleaves_groups:
        group, rest = burst % timing.num_groups, burst // timing.num_groups // bursts_of_row
    else:
        burst = burst // bursts_of_row
        group, rest = burst % timing.num_groups, burst // timing.num_groups
    bank = group * timing.banks_per_group + rest % timing.banks_per_group
    row = rest // timing.banks_per_group
    constants = np.array(
        [
            timing.burst, timing.column_same_group, timing.column_other_group,
            timing.activate_to_read, timing.read_to_precharge, timing.precharge, timing.row_open,
            timing.row_cycle, timing.activate_to_activate, timing.four_activates, timing.refresh,
            timing.refresh_interval, timing.num_groups, timing.banks_per_group,
            timing.activate_slots,
        ]
    )  # fmt: skip
    return int(_serve(bank.astype(np.int64), row.astype(np.int64), constants))


@njit(cache=True)
def _serve(banks, rows, times):  # noqa: PLR0912, PLR0915 - one loop over cycles, compiled
    (burst, ccd_l, ccd_s, rcd, rtp, rp, ras, rc, rrd, faw, rfc, refi, groups, per_group, slots) = (
        times[0], times[1], times[2], times[3], times[4], times[5], times[6], times[7], times[8],
        times[9], times[10], times[11], times[12], times[13], times[14],
    )  # fmt: skip
    num_banks = groups * per_group
    queue = np.zeros(QUEUE_LENGTH, np.int64)
    open_row = np.full(num_banks, -1, np.int64)
    owed = np.zeros(num_banks, np.int64)  # the bank's row was opened for a read still to come
    next_act = np.zeros(num_banks, np.int64)
    next_read = np.zeros(num_banks, np.int64)
    next_pre = np.zeros(num_banks, np.int64)
    group_read = np.zeros(groups, np.int64)
    activates = np.full(4, -1_000_000, np.int64)
    bus_read = 0
    any_act = 0
    queued = arrived = served = 0
    clock = command_free = 0
    due = refi
    total = len(banks)
    while served < total:
        if queued < QUEUE_LENGTH and arrived < total:
            queue[queued] = arrived
            queued += 1
            arrived += 1
        if clock >= due:
            closed = clock
            for bank in range(num_banks):
                if open_row[bank] >= 0:
                    closed = max(closed, next_pre[bank])
                open_row[bank] = -1
                owed[bank] = 0
            ready = closed + rp + rfc
            for bank in range(num_banks):
                next_act[bank] = max(next_act[bank], ready)
            due += refi
        chosen, kind = -1, 0
        soonest = np.int64(1) << 60
        for place in range(queued):
            index = queue[place]
            bank, row = banks[index], rows[index]
            if open_row[bank] == row:
                what, when = 0, max(next_read[bank], bus_read, group_read[bank // per_group])
            elif open_row[bank] < 0:
                what = 1
                when = max(next_act[bank], any_act, activates[0] + faw)
            elif owed[bank]:
                continue
            else:
                what, when = 2, next_pre[bank]
            when = max(when, command_free)
            soonest = min(soonest, when)
            if when <= clock:
                chosen, kind = place, what
                break
        if chosen < 0:
            waits_for_requests = queued < QUEUE_LENGTH and arrived < total
            clock = clock + 1 if waits_for_requests else max(clock + 1, min(soonest, due))
            continue
        index = queue[chosen]
        bank = banks[index]
        if kind == 0:
            bus_read = clock + max(burst, ccd_s)
            group_read[bank // per_group] = clock + ccd_l
            next_pre[bank] = max(next_pre[bank], clock + rtp)
            owed[bank] = 0
            for place in range(chosen, queued - 1):
                queue[place] = queue[place + 1]
            queued -= 1
            served += 1
        elif kind == 1:
            open_row[bank] = rows[index]
            owed[bank] = 1
            next_read[bank] = clock + rcd
            next_pre[bank] = clock + ras
            next_act[bank] = clock + rc
            any_act = clock + rrd
            activates[:3] = activates[1:]
            activates[3] = clock
            command_free = clock + slots
        else:
            open_row[bank] = -1
            next_act[bank] = max(next_act[bank], clock + rp)
        clock += 1
    return clock
