"""Forward passes of any model, followed: what flows, which module runs, and hooks that leave with the block."""
