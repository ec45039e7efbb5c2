"""Long questions: queue, worker, progress, watchdog."""
