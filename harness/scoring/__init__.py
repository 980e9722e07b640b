"""Pure functions on text: answer extraction and scoring rules, rewards, statistics of traces."""
