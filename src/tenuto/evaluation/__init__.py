"""What a technique costs in fidelity and gains in time, measured against the untouched run."""
