"""Long questions run as jobs: the queue, the process of one job, its lab, its progress, and the watchdog."""
