"""Seconds of `import tenuto` in a fresh interpreter, and whether it loads torch.

python benchmarks/import_time.py
"""

import subprocess
import sys
from statistics import median

_CODE = """
import sys, time
start = time.perf_counter()
import tenuto
print(time.perf_counter() - start, "torch" in sys.modules)
"""


def main() -> None:
    """Measure and print the median of nine runs."""
    lines = [
        subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
        for _ in range(9)
    ]
    found = [line.stdout.split() for line in lines]
    print(f"import tenuto: {median(float(s) for s, _ in found):.3f} s, torch loaded: {found[0][1]}")


if __name__ == "__main__":
    main()
