"""Integer functions that define the arithmetic of the hardware to the bit; numpy only."""
