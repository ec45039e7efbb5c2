"""Parts of pages that ask: forms, photos, jobs, gates, data sets."""
