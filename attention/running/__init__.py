"""Forward passes: on which device, in which number format, with which ablations, in how much time."""
