"""How a report is written out: tables in every form, LaTeX, documents, captions and citations."""
