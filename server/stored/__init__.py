"""What users keep: photos, data sets, checkpoints, reports."""
