"""From a result folder to one page that a browser opens without a network."""

from tenuto.report.page import write_report

__all__ = ["write_report"]
