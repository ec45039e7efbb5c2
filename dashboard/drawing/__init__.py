"""Reports as charts, tables and words."""
