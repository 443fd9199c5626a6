"""Result files as self-contained HTML pages: comparisons, simulations, sweeps."""

from tenuto.report.page import write_report
from tenuto.report.simulation_page import write_simulation_report
from tenuto.report.sweep_page import write_sweep_report

__all__ = ["write_report", "write_simulation_report", "write_sweep_report"]
