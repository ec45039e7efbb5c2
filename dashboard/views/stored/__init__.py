"""What is stored here: photos, data sets, checkpoints, jobs and reports."""
