"""Mode ``qscanner``: Qualys' own program, run here, and the report file it writes."""
