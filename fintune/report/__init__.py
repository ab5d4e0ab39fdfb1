"""Runs and comparisons -> one self-contained HTML page, fed only from the files they left.

sources, reading (files) -> confidence, comparing (figures) -> charts (Vega-Lite), run_view, comparison_view -> page (HTML).

Example:
    write_report(["runs/phrasebank-lora"])
    # PosixPath('runs/phrasebank-lora/report.html')
"""

from fintune.report.page import write_report

__all__ = ["write_report"]
