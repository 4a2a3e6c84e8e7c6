"""What a terminal shows: commands, tables, progress and summaries."""
